// Package deploy makes a machine run a revision, over any Transport that can run a command there and write a file. The
// local and the ssh host are this package with another transport, so both have the same layout on the machine:
//
//	DIR/.railyard.lock               held by the one switch that runs
//	DIR/APP/releases/NAME/…          an unpacked package, its configuration in config/; .complete is written last
//	DIR/APP/current → releases/NAME  what a start of the app runs
//	DIR/APP/running                  the NAME whose restart succeeded
//	DIR/APP/restart.log              what the last restart command said
//	DIR/APP/slots/…                  of an app that goes to slots: the files of every version that is kept, the newest version's
//	                                 where several have one, for visitors who still have the pages of an older one open
//	DIR/APP/incoming/SHA256          uploaded, not unpacked yet
//
// An app runs what the marker `running` says if `current` points there too; otherwise nobody knows, and the next switch
// restarts it. The marker is removed before anything changes and written after the restart succeeded.
//
// A switch is one command on the machine, which works in a session of its own: it does not end when Railyard or the
// connection does. The next switch waits for the lock, finds the markers right, and restarts nothing.
package deploy

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"railyard/internal/roller"
)

// Transport reaches machines. It is safe for concurrent use.
type Transport interface {
	// Run runs a command on the machine and waits for its end. A command that ended with another code than 0 is no error.
	// Errors satisfy errors.Is with roller.ErrUnreachable when the machine did not answer, and with roller.ErrPermanent when
	// it must not be talked to. When ctx ends, Run returns; what the command left running goes on.
	Run(ctx context.Context, m roller.Machine, argv ...string) (Output, error)
	// Upload writes a file, whole or not at all, into a directory that exists.
	Upload(ctx context.Context, m roller.Machine, path string, content io.Reader) error
}

// Output is how a command ended.
type Output struct {
	Stdout string // at most OutputLimit bytes
	Stderr string // at most OutputLimit bytes
	Code   int    // 0 = success
}

// OutputLimit bounds what a transport keeps of each output of a command, bytes.
const OutputLimit = 64 << 10

// Packages opens a package, or a configuration, by its digest. It returns the size in bytes too.
type Packages interface {
	Open(ctx context.Context, digest string) (io.ReadCloser, int64, error)
}

// Host implements roller.Host. It is safe for concurrent use.
type Host struct {
	transport Transport
	packages  Packages
	checker   *Checker
}

// New returns a host that reaches its machines by t and finds packages in p.
func New(t Transport, p Packages) *Host {
	return &Host{transport: t, packages: p, checker: NewChecker(p)}
}

// Observe reads markers and links of all the machine's apps with one command.
func (h *Host) Observe(ctx context.Context, m roller.Machine) (roller.HostState, error) {
	state, err := h.observe(ctx, m)
	if err != nil {
		return roller.HostState{}, fmt.Errorf("observe server %s: %w", m.Server.Name, err)
	}
	return state, nil
}

func (h *Host) observe(ctx context.Context, m roller.Machine) (roller.HostState, error) {
	if err := checkDir(m.Server.Dir); err != nil {
		return roller.HostState{}, err
	}
	argv := []string{"/bin/sh", "-c", observeScript, "railyard", m.Server.Dir}
	for _, app := range m.Apps {
		if err := checkName("app", app.Name); err != nil {
			return roller.HostState{}, err
		}
		argv = append(argv, app.Name)
	}
	out, err := h.transport.Run(ctx, m, argv...)
	if err != nil {
		return roller.HostState{}, err
	}
	if out.Code != 0 || !strings.HasSuffix(out.Stdout, "observed\n") {
		return roller.HostState{}, fmt.Errorf("the command ended with code %d: %s", out.Code, excerpt(out.Stderr+out.Stdout))
	}
	state := roller.HostState{Running: map[string]string{}}
	for line := range strings.Lines(out.Stdout) {
		fields := strings.Fields(line) // app, link target, marker
		if len(fields) == 3 && fields[1] == "releases/"+fields[2] {
			state.Running[fields[0]] = fields[2]
		}
	}
	return state, nil
}

// Switch makes the machine run the revision's apps. With every package in place it costs one command; otherwise what is
// missing is checked, uploaded, and a second command unpacks it. The errors name server, app and step.
func (h *Host) Switch(ctx context.Context, m roller.Machine, r roller.Revision) error {
	orders, err := ordersFor(m, r)
	if err == nil {
		err = h.doSwitch(ctx, m, orders)
	}
	if err != nil {
		return fmt.Errorf("switch server %s to revision %s: %w", m.Server.Name, r.ID, err)
	}
	return nil
}

func (h *Host) doSwitch(ctx context.Context, m roller.Machine, orders []order) error {
	// Twice more, because another switch may use up what this one uploaded before it has the lock.
	for range 2 {
		result, err := h.order(ctx, m, orders)
		if err != nil || len(result.missing) == 0 {
			return err
		}
		for _, need := range result.missing {
			if err := h.fetch(ctx, m, need); err != nil {
				return err
			}
		}
	}
	result, err := h.order(ctx, m, orders)
	if err != nil || len(result.missing) == 0 {
		return err
	}
	need := result.missing[0]
	if need.damaged {
		return fmt.Errorf("fetch %s: its sha256sum on the machine is not %s, though it was right here; check the machine's disk and network: %w",
			need.app, need.digest, roller.ErrPermanent)
	}
	return fmt.Errorf("fetch %s: package %s was uploaded and is gone again; does something else clean %s?", need.app, need.digest,
		path.Join(m.Server.Dir, need.app, "incoming"))
}

// fetch brings one archive onto the machine, after it was found safe to unpack.
func (h *Host) fetch(ctx context.Context, m roller.Machine, need need) error {
	if err := h.checker.Check(ctx, need.digest); err != nil {
		return fmt.Errorf("fetch %s: %w", need.app, err)
	}
	content, _, err := h.packages.Open(ctx, need.digest)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", need.app, Hopeless(err))
	}
	defer content.Close()
	target := path.Join(m.Server.Dir, need.app, "incoming", hexOf(need.digest))
	if err := h.transport.Upload(ctx, m, target, content); err != nil {
		return fmt.Errorf("fetch %s: upload package %s to %s: %w", need.app, need.digest, target, err)
	}
	return nil
}
