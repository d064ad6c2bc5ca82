package junit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/rollmon/source/junit"
	"railyard/internal/verdict"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		rule, xml string
		want      rollmon.Report
	}{
		{"passed, failed, in error and skipped", `<?xml version="1.0"?><testsuites><testsuite name="s" tests="4" failures="1" errors="1" skipped="1">
			<testcase classname="BookingTest" name="book"/>
			<testcase classname="BookingTest" name="cancel"><failure message="expected 200, got 500">at …</failure></testcase>
			<testcase classname="BookingTest" name="pay"><error message="timeout"/></testcase>
			<testcase classname="BookingTest" name="later"><skipped/></testcase></testsuite></testsuites>`,
			rollmon.Report{Passed: 1, Failed: 2, Words: "BookingTest.cancel: expected 200, got 500; BookingTest.pay: timeout"}},
		{"a suite that is the root, with suites in it", `<testsuite><testsuite><testcase name="a"/></testsuite><testcase name="b"/></testsuite>`, rollmon.Report{Passed: 2}},
		{"a test that failed twice is one", `<testsuite><testcase name="a"><failure/><error/></testcase></testsuite>`, rollmon.Report{Failed: 1, Words: "a"}},
		{"output that looks like a failure is none", `<testsuite><testcase name="a"><system-out>&lt;failure/&gt;</system-out></testcase></testsuite>`, rollmon.Report{Passed: 1}},
		{"many failures are counted, a few named", `<testsuite>` + strings.Repeat(`<testcase name="a"><failure/></testcase>`, 5) + `</testsuite>`,
			rollmon.Report{Failed: 5, Words: "a; a; a and 2 more"}},
		{"a suite that could not be set up", `<testsuite tests="0" errors="1"></testsuite>`, rollmon.Report{Failed: 1, Words: "a suite says that it failed, without a failed test"}},
		{"no tests", `<testsuites/>`, rollmon.Report{}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got, err := junit.Parse([]byte(c.xml)); err != nil || got != c.want {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
		})
	}
	for rule, c := range map[string]struct{ xml, words string }{
		"a web page":                     {"<html><body>Sign in</body></html>", `its root is "html"`},
		"half a file":                    {"<testsuite><testcase", "unexpected EOF"},
		"nothing":                        {"", "no testsuites or testsuite"},
		"an entity from the net":         {`<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><testsuite>&e;</testsuite>`, "document type"},
		"a billion laughs":               {`<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><testsuite name="&b;"/>`, "document type"},
		"an entity nobody declared":      {`<testsuite>&e;</testsuite>`, "invalid character entity"},
		"a tower of elements":            {"<testsuite>" + strings.Repeat("<a>", 100_000), "nested more than 64 deep"},
		"more than any report of tests":  {"<testsuite>" + strings.Repeat(" ", junit.MaxBytes), "more than"},
		"another encoding than declared": {`<?xml version="1.0" encoding="UTF-16"?><testsuite/>`, "encoding"},
	} {
		t.Run(rule, func(t *testing.T) {
			if _, err := junit.Parse([]byte(c.xml)); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%v, want %q", err, c.words)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`<testsuite failures="1"><testcase name="a"><failure message="m"/></testcase></testsuite>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := junit.Parse(text); err == nil && (r.Passed < 0 || r.Failed < 0) {
			t.Errorf("%+v", r)
		}
	})
}

func TestWhatBuildsTell(t *testing.T) {
	good := []byte(`<testsuite><testcase name="a"/></testsuite>`)
	bad := []byte(`<testsuite><testcase name="b"><failure message="m"/></testcase></testsuite>`)
	xml := []string{"reports/*.xml"}
	for _, c := range []struct {
		rule      string
		artifacts []string
		builds    []junit.Build
		err       error
		want      verdict.Outcome
		words     string
	}{
		{"all tests of all files passed", xml, []junit.Build{{Name: "atp #7", Files: [][]byte{good, good}}}, nil, verdict.Pass, "by atp #7: 2 passed, 0 failed"},
		{"one failed", xml, []junit.Build{{Name: "atp #7", Files: [][]byte{good, bad}}}, nil, verdict.Hard, "1 failed, 1 passed; hard limit 0 failed: b: m"},
		{"Jenkins' own report", nil, []junit.Build{{Name: "atp #7", Report: &rollmon.Report{Passed: 41, Failed: 1}}}, nil, verdict.Hard, "1 failed, 41 passed"},
		{"no build yet", nil, nil, nil, verdict.Pending, "there is no report yet"},
		{"a build that runs has not passed", xml, []junit.Build{{Name: "atp #7", Running: true}}, nil, verdict.Pending, "by atp #7 (running): there is no report yet"},
		{"one that runs does not hide the failure of another", xml, []junit.Build{{Name: "atp #7", Running: true}, {Name: "ui #3", Files: [][]byte{bad}}}, nil, verdict.Hard, "b: m"},
		{"one that runs is waited for, whatever passed elsewhere", xml, []junit.Build{{Name: "atp #7", Running: true}, {Name: "ui #3", Files: [][]byte{good}}}, nil, verdict.Pending, "no report yet"},
		{"a build without a report", nil, []junit.Build{{Name: "atp #7", Result: "FAILURE"}}, nil, verdict.NoData, "atp #7: it has no test report"},
		{"a build without the files", xml, []junit.Build{{Name: "atp #7", Result: "ABORTED"}}, nil, verdict.NoData, "archived no file that matches reports/*.xml; its result is ABORTED"},
		{"a file that is none", xml, []junit.Build{{Name: "atp #7", Files: [][]byte{[]byte("<html/>")}}}, nil, verdict.NoData, "it is no JUnit XML"},
		{"a Jenkins that is away", nil, nil, errors.New("connection refused"), verdict.SourceDown, "Jenkins: connection refused"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			i := fleet.Indicator{Name: "atp", Hard: true, Scope: fleet.ScopePool, Report: &fleet.ReportIndicator{}, Source: fleet.Source{JUnit: &fleet.JUnitSource{Artifacts: c.artifacts}}}
			s := junit.New(func(context.Context, junit.Ask) ([]junit.Build, error) { return c.builds, c.err })
			q := verdict.Question{Site: fleet.SiteRef{Environment: "UAT", Pool: "hotel-api"}, Roll: "r-1", Stage: "baking", Exposed: []string{"hotel-api-1"}, Since: time.Now()}
			r := s.Read(t.Context(), rollmon.Request{Indicator: i, Site: q.Site, Roll: "r-1", Now: time.Now()})
			v := rollmon.Judge(q, []fleet.Indicator{i}, rollmon.Samples{"atp": r}, time.Now())
			if v.Outcome != c.want || !strings.Contains(v.Reason, c.words) {
				t.Errorf("%s: %s\nwant %s with %q", v.Outcome, v.Reason, c.want, c.words)
			}
		})
	}
}

func TestABuildThatHasEndedIsReadSeldom(t *testing.T) {
	running, asked := true, 0
	s := junit.New(func(_ context.Context, a junit.Ask) ([]junit.Build, error) {
		asked++
		if a.Job != "atp/hotel-api" || a.Roll != "r-1" || a.Pool != "hotel-api" {
			t.Errorf("asked for %+v", a)
		}
		return []junit.Build{{Name: "atp #7", Running: running, Report: &rollmon.Report{Passed: 1}}}, nil
	})
	i := fleet.Indicator{Name: "atp", Report: &fleet.ReportIndicator{}, Source: fleet.Source{JUnit: &fleet.JUnitSource{Job: "atp/hotel-api"}}}
	now := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	at := func(seconds float64) int {
		s.Read(t.Context(), rollmon.Request{Indicator: i, Site: fleet.SiteRef{Pool: "hotel-api"}, Roll: "r-1", Now: now.Add(time.Duration(seconds * float64(time.Second)))})
		return asked
	}
	if first, soon, later := at(0), at(1), at(3); first != 1 || soon != 1 || later != 2 {
		t.Errorf("asked %d, %d, %d times while it ran", first, soon, later)
	}
	running = false
	if ended, soon, later := at(6), at(30), at(40); ended != 3 || soon != 3 || later != 4 {
		t.Errorf("asked %d, %d, %d times after it had ended", ended, soon, later)
	}
}
