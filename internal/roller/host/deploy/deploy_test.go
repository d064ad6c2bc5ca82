package deploy

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

var _ roller.Host = (*Host)(nil)

// said is a transport to a machine that answers the same to everything, and counts.
type said struct {
	Output
	err  error
	runs [][]string
}

func (s *said) Run(_ context.Context, _ roller.Machine, argv ...string) (Output, error) {
	s.runs = append(s.runs, argv)
	return s.Output, s.err
}

func (s *said) Upload(context.Context, roller.Machine, string, io.Reader) error {
	return errors.New("nothing should be uploaded")
}

type noPackages struct{}

func (noPackages) Open(context.Context, string) (io.ReadCloser, int64, error) {
	return nil, 0, errors.New("no package should be opened")
}

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func machine() roller.Machine {
	return roller.Machine{
		Server: fleet.Server{Name: "hotel-1", Dir: "/srv/rail yard"},
		Apps:   []fleet.App{{Name: "api", Restart: "systemctl restart {{.App}} # {{.Dir}} {{.Server}}"}, {Name: "web", Keep: 1}},
	}
}

func revision() roller.Revision {
	return roller.NewRevision(roller.AppRelease{App: "api", Package: digest}, roller.AppRelease{App: "web", Package: digest, Config: digest})
}

func TestWithPackagesInPlaceASwitchIsOneCommand(t *testing.T) {
	transport := &said{Output: Output{Stdout: "step lock\nstep look\nstep finished\n"}}
	if err := New(transport, noPackages{}).Switch(t.Context(), machine(), revision()); err != nil {
		t.Fatal(err)
	}
	if len(transport.runs) != 1 {
		t.Fatalf("%d commands, want 1", len(transport.runs))
	}
	hex := strings.TrimPrefix(digest, "sha256:")
	want := []string{"300", "300", "api", "9f86d081884c", hex, "-", "5", "0", "systemctl restart api # /srv/rail yard/api hotel-1",
		"web", "9f86d081884c-9f86d081884c", hex, hex, "2", "0", ""}
	if got := transport.runs[0][7:]; !slices.Equal(got, want) {
		t.Errorf("arguments\n%q\nwant\n%q", got, want)
	}
}

func TestObserveIsOneCommandAndBelievesOnlyWhatAgrees(t *testing.T) {
	transport := &said{Output: Output{Stdout: "api releases/aa aa\nweb releases/aa bb\nmail releases/aa \nshop /opt/aa aa\nobserved\n"}}
	state, err := New(transport, noPackages{}).Observe(t.Context(), machine())
	if err != nil || len(state.Running) != 1 || state.Running["api"] != "aa" || len(transport.runs) != 1 {
		t.Errorf("running = %v, %v, by %d commands; want only api → aa, by one", state.Running, err, len(transport.runs))
	}
}

func TestWhatAMachineAnswersIsNotTakenForSuccess(t *testing.T) {
	tests := []struct {
		name string
		out  Output
		want string // after the server and the revision
	}{
		{"silence", Output{}, "start: the command ended with code 0: it said nothing; is the disk full?"},
		{"a greeting of the login shell", Output{Stdout: "This account is currently not available.\n"}, "start: the command ended with code 0: This account is currently not available."},
		{"an end in the middle", Output{Stdout: "step lock\nstep restart api\n", Code: -1}, "restart api: the command ended with code -1: it said nothing; is the disk full?"},
		{"no such program", Output{Stdout: "step lock\n", Stderr: "flock: not found\n", Code: 127}, "lock: the command ended with code 127: flock: not found"},
		{"a lock that is held", Output{Stdout: "step lock\n", Code: 11}, "lock: an earlier switch has been running there for more than 300 s; see what it waits for: a restart command that hangs?"},
		{"a failed step", Output{Stdout: "step unpack api\ntar: no space\nis the disk full?\n", Code: 12}, "unpack api: tar: no space; is the disk full?"},
		{"archives missing, but not which", Output{Stdout: "step look\n", Code: 10}, "look: the command ended with code 10: it said nothing; is the disk full?"},
		{"a long story", Output{Stdout: "step look\n" + strings.Repeat("x", 5000) + "end", Code: 12}, "look: …" + strings.Repeat("x", 597) + "end"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := revision()
			err := New(&said{Output: tt.out}, noPackages{}).Switch(t.Context(), machine(), r)
			if want := "switch server hotel-1 to revision " + r.ID + ": " + tt.want; err == nil || err.Error() != want {
				t.Errorf("error\n%v\nwant\n%s", err, want)
			}
			if _, err := New(&said{Output: tt.out}, noPackages{}).Observe(t.Context(), machine()); err == nil {
				t.Error("Observe believed it")
			}
		})
	}
}

func TestATransportsErrorKeepsItsKind(t *testing.T) {
	h := New(&said{err: roller.ErrUnreachable}, noPackages{})
	if err := h.Switch(t.Context(), machine(), revision()); !errors.Is(err, roller.ErrUnreachable) {
		t.Errorf("Switch = %v", err)
	}
	if _, err := h.Observe(t.Context(), machine()); !errors.Is(err, roller.ErrUnreachable) {
		t.Errorf("Observe = %v", err)
	}
}

func TestWhatCannotBeOrderedIsRefusedForGoodBeforeAnyCommand(t *testing.T) {
	tests := []struct {
		name   string
		change func(m *roller.Machine, r *roller.Revision)
		want   string
	}{
		{"no apps", func(_ *roller.Machine, r *roller.Revision) { r.Apps = nil }, "the revision has no apps"},
		{"an app that is a path", func(_ *roller.Machine, r *roller.Revision) { r.Apps[0].App = "../api" }, `app name "../api"`},
		{"an app of another server", func(m *roller.Machine, _ *roller.Revision) { m.Apps = m.Apps[:1] }, "the topology has no app web on this server"},
		{"a digest that is a path", func(_ *roller.Machine, r *roller.Revision) { r.Apps[0].Package = "sha256:../../x" }, "not a package digest"},
		{"a configuration without digest", func(_ *roller.Machine, r *roller.Revision) { r.Apps[0].Config = "latest" }, "not a package digest"},
		{"a relative directory", func(m *roller.Machine, _ *roller.Revision) { m.Server.Dir = "srv" }, `directory "srv"`},
		{"no directory", func(m *roller.Machine, _ *roller.Revision) { m.Server.Dir = "" }, `directory ""`},
		{"the root directory", func(m *roller.Machine, _ *roller.Revision) { m.Server.Dir = "/" }, `directory "/"`},
		{"a directory with a way up", func(m *roller.Machine, _ *roller.Revision) { m.Server.Dir = "/srv/../etc" }, `directory "/srv/../etc"`},
		{"a restart template with a typing error", func(m *roller.Machine, _ *roller.Revision) { m.Apps[0].Restart = "restart {{.Ap}}" }, "expected a template of {{.Dir}}, {{.App}}, {{.Server}}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, r, transport := machine(), revision(), &said{}
			tt.change(&m, &r)
			err := New(transport, noPackages{}).Switch(t.Context(), m, r)
			if !errors.Is(err, roller.ErrPermanent) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want a permanent one with %q", err, tt.want)
			}
			if len(transport.runs) != 0 {
				t.Error("a command was run")
			}
		})
	}
}

func TestTheScriptsTimeEndsBeforeTheCallers(t *testing.T) {
	for left, want := range map[time.Duration]string{100 * time.Second: "89", 10 * time.Second: "8", 2 * time.Second: "1.00", time.Second: "0.50"} {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		if got := seconds(TimeLeft(ctx)); got != want {
			t.Errorf("of %s the script gets %s s, want %s", left, got, want)
		}
		cancel()
	}
}

func TestTheEndOfALongOutputIsKept(t *testing.T) {
	var tail Tail
	for range 100 {
		_, _ = tail.Write([]byte(strings.Repeat("x", 5000)))
	}
	_, _ = tail.Write([]byte("end"))
	if got := tail.String(); len(got) != OutputLimit || !strings.HasSuffix(got, "xend") {
		t.Errorf("kept %d bytes that end with %q", len(got), got[len(got)-4:])
	}
}
