package exec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/exec"
	"railyard/internal/rollmon/sourcetest"
	"railyard/internal/verdict"
)

var site = fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}

// program writes a shell script and returns its path.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "numbers")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func queue(path string) fleet.Indicator {
	return fleet.Indicator{Name: "queue", Class: fleet.ClassApp, Hard: true, Value: &fleet.ValueIndicator{Query: "queue_length", Max: new(100.0)},
		Source: fleet.Source{Exec: &fleet.ExecSource{Program: path}}}
}

func named(names ...string) []rollmon.Server {
	var all []rollmon.Server
	for _, name := range names {
		all = append(all, rollmon.Server{Name: name, Member: name})
	}
	return all
}

func TestConformance(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T) sourcetest.World {
		dir := t.TempDir()
		set := func(server, text string) {
			if err := os.WriteFile(filepath.Join(dir, server), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w := sourcetest.World{Source: exec.New(), Site: site, Servers: named("hotel-api-1", "hotel-api-2", "hotel-api-3"), Since: time.Now()}
		for _, s := range w.Servers {
			set(s.Name, "12")
		}
		w.Indicator = queue(program(t, `cd "`+dir+`"
test -e silent && exec sleep 30
cat > /dev/null
sep=
printf '{"servers":{'
for s in hotel-api-*; do printf '%s"%s":{"value":%s}' "$sep" "$s" "$(cat "$s")"; sep=,; done
printf '}}'
`))
		w.Set = func(_ *testing.T, server string, b sourcetest.Behaviour) {
			set(server, map[sourcetest.Behaviour]string{sourcetest.Healthy: "12", sourcetest.Failing: "1200"}[b])
		}
		w.Silence = func(*testing.T) { set("silent", "") }
		return w
	})
}

func TestWhatTheProgramIsAsked(t *testing.T) {
	dir := t.TempDir()
	path := program(t, `cat > "`+dir+`/asked"; echo '{"servers":{"hotel-api-1":{"value":1}}}'`)
	now := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	exec.New().Read(t.Context(), rollmon.Request{Indicator: queue(path), Site: site, Roll: "r-31", Exposed: named("hotel-api-1"), Control: named("hotel-api-2"), Since: now.Add(-time.Minute), Now: now})
	got, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(got)
	for _, want := range []string{`{"do":"read","seconds":`, `"indicator":{"name":"queue","judge":"value","scope":"server","query":"queue_length"}`,
		`"environment":"PROD","pool":"hotel-api","roll":"r-31","exposed":["hotel-api-1"],"control":["hotel-api-2"],"since":"2026-03-01T01:59:00Z","now":"2026-03-01T02:00:00Z"}`} {
		if !strings.Contains(text, want) {
			t.Errorf("asked %s\nwithout %s", text, want)
		}
	}
}

func TestEveryKindOfNumberIsRead(t *testing.T) {
	path := program(t, `cat > /dev/null; cat <<'E'
{"servers":{"hotel-api-1":{"count":{"failures":2,"attempts":40},"points":[{"at":"2026-03-01T02:00:00Z","value":1.5}],"report":{"passed":3,"failed":1,"by":"suite","words":"cancel"}},
 "hotel-api-2":{"problem":"its queue is paused"},"elsewhere-1":{"value":1}}}
E`)
	r := exec.New().Read(t.Context(), rollmon.Request{Indicator: queue(path), Site: site, Exposed: named("hotel-api-1", "hotel-api-2")})
	one := r.Servers["hotel-api-1"]
	if len(r.Servers) != 2 || *one.Count != (rollmon.Count{Failures: 2, Attempts: 40}) || one.Points[0].Value != 1.5 || *one.Report != (rollmon.Report{Passed: 3, Failed: 1, By: "suite", Words: "cancel"}) {
		t.Errorf("%+v", r)
	}
	if r.Servers["hotel-api-2"].Problem != "its queue is paused" {
		t.Errorf("%+v", r.Servers["hotel-api-2"])
	}
}

func TestWhatAProgramDoesWrongIsNamed(t *testing.T) {
	for _, c := range []struct {
		rule, text string
		want       verdict.Outcome
		words      string
	}{
		{"it fails", `echo "no route to the broker" >&2; exit 1`, verdict.SourceDown, "it ended with code 1: no route to the broker"},
		{"what it speaks to is away", `echo "broker away" >&2; exit 69`, verdict.SourceDown, "broker away"},
		{"it has no such numbers", `echo "no queue of that name" >&2; exit 65`, verdict.NoData, "no queue of that name"},
		{"it answers no JSON", `echo 12`, verdict.SourceDown, "expected one JSON document"},
		{"it misspells a field", `echo '{"servers":{"hotel-api-1":{"vaule":1}}}'`, verdict.SourceDown, `unknown field "vaule"`},
		{"it answers NaN", `echo '{"servers":{"hotel-api-1":{"value":NaN}}}'`, verdict.SourceDown, "expected one JSON document"},
		{"it answers nothing about servers", `echo '{}'`, verdict.NoData, "answered without servers"},
		{"it writes more than can be read", `exec head -c 20000000 /dev/zero`, verdict.SourceDown, "expected one JSON document"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			r := exec.New().Read(t.Context(), rollmon.Request{Indicator: queue(program(t, c.text)), Site: site, Exposed: named("hotel-api-1")})
			if r.Failure != c.want || !strings.Contains(r.Reason, c.words) {
				t.Errorf("%s: %s, want %s with %q", r.Failure, r.Reason, c.want, c.words)
			}
		})
	}
	t.Run("it is not there", func(t *testing.T) {
		r := exec.New().Read(t.Context(), rollmon.Request{Indicator: queue("/nowhere/numbers"), Site: site, Exposed: named("hotel-api-1")})
		if r.Failure != verdict.SourceDown || !strings.Contains(r.Reason, "is it there and executable?") {
			t.Errorf("%s: %s", r.Failure, r.Reason)
		}
	})
}
