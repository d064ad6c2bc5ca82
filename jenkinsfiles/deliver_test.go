package jenkinsfiles_test

import (
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest/groovy"
	"railyard/jenkinsfiles"
)

var update = flag.Bool("update", false, "write the golden files")

func TestJobsAreAsInTheGoldens(t *testing.T) {
	jobs := map[string][]byte{"deliver": jenkinsfiles.Deliver("hotel-api"), "deliver-freestyle": jenkinsfiles.DeliverFreestyle("hotel-api"), "train": jenkinsfiles.Train()}
	for name, text := range jenkinsfiles.Buttons() {
		jobs["button-"+strings.ToLower(name)] = text
	}
	for name, text := range jobs {
		golden := "testdata/" + name + ".golden.xml"
		if *update {
			if err := os.WriteFile(golden, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(text)); diff != "" {
			t.Errorf("job %s differs from its golden (go test -update writes it):\n%s", name, diff)
		}
	}
}

// engine runs the Pipelines of all tests, with the shipped library: it takes a second to start.
var engine = sync.OnceValues(func() (*groovy.Engine, error) {
	e, err := groovy.New(map[string]fs.FS{jenkinsfiles.LibraryName: jenkinsfiles.Library()})
	if err != nil {
		return nil, err
	}
	return e, e.Warm()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if e, _ := engine(); e != nil {
		if err := e.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func pipelines(t *testing.T) *groovy.Engine {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const (
	began     = "begin --deployment d1\n"
	published = began + "publish --deployment d1 --app hotel-api package.tar.gz\n"
	asked     = "outcome --deployment d1 --stage "
)

func TestDeliver(t *testing.T) {
	engine := pipelines(t)
	all := published + asked + "FAT\n" + asked + "approval\n" + asked + "UAT\n" + asked + "PROD\n"
	cases := []struct {
		name    string
		prepare func(y *yard)
		result  string
		calls   string
		says    string
	}{
		{"a released commit is a success", func(*yard) {}, "SUCCESS", all, "PROD is passed"},
		{"a duplicate is not built", func(y *yard) { y.write("begin", "4") }, "NOT_BUILT", began, "nothing to do"},
		{"a build that may not begin is a failure", func(y *yard) { y.write("begin", "1") }, "FAILURE", began, "did not let the build begin"},
		{"one that boards a Train is a success, and the Train's stages are left out", func(y *yard) { y.write("says-UAT", "BOARDED 4 hotel-api-7.2: boards Train hotel-line-3") },
			"SUCCESS", published + asked + "FAT\n" + asked + "approval\n" + asked + "UAT\n", `Stage "Roller" skipped due to when conditional`},
		{"one that was rolled back is a failure, with the reason", func(y *yard) { y.write("says-PROD", "FAILURE end hotel-api-7.2: rolled back: 5xx 4.8 %") },
			"FAILURE", all, "ERROR: hotel-api-7.2: rolled back: 5xx 4.8 %"},
		{"one that is revoked is aborted", func(y *yard) { y.write("says-UAT", "ABORTED end hotel-api-7.2: revoked: by person:li") },
			"ABORTED", published + asked + "FAT\n" + asked + "approval\n" + asked + "UAT\n", "revoked: by person:li"},
		{"one that is superseded is not built", func(y *yard) { y.write("says-FAT", "NOT_BUILT end hotel-api-7.2: superseded: by hotel-api-7.3") },
			"NOT_BUILT", published + asked + "FAT\n", "superseded"},
		{"a failing build is a failure whatever its exit code", func(y *yard) { y.write("repo/build.sh", "#!/bin/sh\nexit 3\n") },
			"FAILURE", began, "build.sh failed"},
		{"failing tests publish nothing", func(y *yard) { y.write("repo/test.sh", "#!/bin/sh\nexit 3\n") }, "FAILURE", began, "test.sh failed"},
		{"a refused package is a failure", func(y *yard) { y.write("publish", "3") }, "FAILURE", published, "could not be published"},
		{"an answer that is none is a failure", func(y *yard) { y.write("says-FAT", "hm") }, "FAILURE", published + asked + "FAT\n", "expected a word, a milepost and a reason"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			y := newYard(t, jenkinsfiles.Deliver("hotel-api"), engine)
			c.prepare(y)
			b, console := y.run(y.commit())
			if b.Result != c.result || !strings.Contains(console, c.says) {
				t.Errorf("result = %s, want %s with %q in\n%s", b.Result, c.result, c.says, console)
			}
			if diff := cmp.Diff(c.calls, y.calls()); diff != "" {
				t.Errorf("railyard was called otherwise:\n%s", diff)
			}
			if strings.Contains(console, "s3cr3t") || strings.Contains(console, "token ****") {
				t.Errorf("the console or build.sh saw the token:\n%s", console)
			}
		})
	}
}

// asks waits for the build's input and returns its id.
func (y *yard) asks(number int64) (id string) {
	y.t.Helper()
	y.eventually("an input", func() bool {
		pending, err := y.client.Inputs(y.t.Context(), job, number)
		if err == nil && len(pending) == 1 {
			id = pending[0].ID
		}
		return id != ""
	})
	return id
}

func (y *yard) proceed(id string) {
	y.t.Helper()
	if err := y.client.Proceed(y.t.Context(), job, 1, id, nil); err != nil {
		y.t.Fatal(err)
	}
}

// waiting is a build that waits for UAT.
func waiting(t *testing.T, engine *groovy.Engine) (y *yard, end func() (result, console string)) {
	y = newYard(t, jenkinsfiles.Deliver("hotel-api"), engine)
	return y, y.waitsIn("UAT", "hotel-api-7.2: delivering UAT: smoke", func() jenkins.Ask { return y.start(y.commit()) })
}

// waitsIn lets a build start and wait in a stage, at milepost 4.
func (y *yard) waitsIn(stage, why string, start func() jenkins.Ask) (end func() (result, console string)) {
	y.t.Helper()
	y.write("says-"+stage, "WAIT 4 "+why)
	ask := start()
	if id := y.asks(1); id != "Railyard-4" {
		y.t.Fatalf("it waits at %q, want the input named by how far the Coach is", id)
	}
	return func() (string, string) {
		b, console := y.end(ask)
		return b.Result, console
	}
}

func TestWhileItWaits(t *testing.T) {
	engine := pipelines(t)
	t.Run("it holds no executor", func(t *testing.T) {
		y, end := waiting(t, engine)
		var computers struct{ BusyExecutors int }
		y.get("/computer/api/json?tree=busyExecutors", &computers)
		if computers.BusyExecutors != 0 {
			t.Errorf("%d executors are busy", computers.BusyExecutors)
		}
		y.write("says-UAT", "PASSED 5 hotel-api-7.2: UAT is passed")
		y.proceed("Railyard-4")
		if result, console := end(); result != "SUCCESS" {
			t.Errorf("%s\n%s", result, console)
		}
	})
	t.Run("an answer that decides nothing makes it ask and wait again", func(t *testing.T) {
		y, end := waiting(t, engine)
		before := strings.Count(y.calls(), asked+"UAT")
		y.as("li", "/job/deliver/1/input/Railyard-4/proceedEmpty", "")
		y.eventually("another question", func() bool { return strings.Count(y.calls(), asked+"UAT") == before+1 })
		id := y.asks(1)
		forged := url.Values{"json": {`{"parameter":[{"name":"RAILYARD_STAGE","value":"x"},{"name":"outcome","value":"PASSED"}]}`}}
		if status := y.ask(http.MethodPost, "/job/deliver/1/input/"+id+"/proceed", "li", strings.NewReader(forged.Encode()), nil); status < 400 {
			t.Errorf("an answer with parameters of its own = %d", status)
		}
		if id != y.asks(1) || strings.Count(y.calls(), asked+"UAT") != before+1 {
			t.Error("a forged answer moved the build")
		}
		y.write("says-UAT", "FAILURE end hotel-api-7.2: stopped in UAT: no")
		y.proceed(y.asks(1))
		if result, console := end(); result != "FAILURE" {
			t.Errorf("%s\n%s", result, console)
		}
	})
	t.Run("aborting it asks for a brake", func(t *testing.T) {
		y, end := waiting(t, engine)
		y.as("li", "/job/deliver/1/stop", "")
		result, console := end()
		if result != "ABORTED" || !strings.HasSuffix(y.calls(), "brake --deployment d1 --reason build jenkins-deliver-1 was aborted\n") ||
			!strings.Contains(console, "Railyard brakes what is rolling") {
			t.Errorf("%s, called\n%s\n%s", result, y.calls(), console)
		}
	})
	t.Run("a brake that cannot be asked for is said loudly", func(t *testing.T) {
		y, end := waiting(t, engine)
		y.write("brake", "1")
		y.as("li", "/job/deliver/1/input/Railyard-4/abort", "")
		if result, console := end(); result != "ABORTED" || !strings.Contains(console, "NOT BRAKED") {
			t.Errorf("%s\n%s", result, console)
		}
	})
	t.Run("a restart of Jenkins changes nothing", func(t *testing.T) {
		y, end := waiting(t, engine)
		before := y.calls()
		if err := y.s.Restart(); err != nil {
			t.Fatal(err)
		}
		id := y.asks(1)
		if y.calls() != before {
			t.Errorf("after the restart it called railyard again:\n%s", y.calls())
		}
		y.write("says-UAT", "PASSED 5 hotel-api-7.2: UAT is passed")
		y.proceed(id)
		result, console := end()
		if result != "SUCCESS" || strings.Count(y.calls(), "publish") != 1 || strings.Count(console, "Resuming build") != 1 {
			t.Errorf("%s\n%s\n%s", result, y.calls(), console)
		}
	})
}
