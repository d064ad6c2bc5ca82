package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// TestReport is what Jenkins' JUnit plugin made of a build's results.
type TestReport struct {
	Passed, Failed, Skipped int
	FailedTests             []string // the first of them: "BookingTest.cancel: expected 200, got 500"
}

// Bounds of what is read of a build's reports.
const (
	reportFiles  = 200      // files of one build
	reportBytes  = 32 << 20 // of one file
	reportNamed  = 3        // failed tests that are named
	reportRecent = 50       // builds of a job that are looked through for a parameter
)

// TestReport reads the test report of a build. errors.Is: ErrNotFound when it has none (yet).
func (c *Controller) TestReport(ctx context.Context, job string, number int64) (TestReport, error) {
	var j struct {
		PassCount, FailCount, SkipCount int
		Suites                          []struct {
			Cases []struct{ ClassName, Name, Status, ErrorDetails string }
		}
	}
	err := c.get(ctx, buildPath(job, number)+"/testReport", &j, map[string]string{
		"tree": "passCount,failCount,skipCount,suites[cases[className,name,status,errorDetails]]",
	})
	if err != nil {
		return TestReport{}, c.failed(fmt.Sprintf("read the test report of %s #%d", job, number), err)
	}
	report := TestReport{Passed: j.PassCount, Failed: j.FailCount, Skipped: j.SkipCount}
	for _, suite := range j.Suites {
		for _, test := range suite.Cases {
			if (test.Status == "FAILED" || test.Status == "REGRESSION") && len(report.FailedTests) < reportNamed {
				report.FailedTests = append(report.FailedTests, strings.TrimSuffix(strings.Join(strings.Fields(test.ClassName+"."+test.Name+": "+test.ErrorDetails), " "), ":"))
			}
		}
	}
	return report, nil
}

// Artifacts reads the archived files of a build whose paths match one of the patterns (path.Match).
func (c *Controller) Artifacts(ctx context.Context, job string, number int64, patterns []string) ([][]byte, error) {
	fail := func(err error) ([][]byte, error) {
		return nil, c.failed(fmt.Sprintf("read the artifacts of %s #%d", job, number), err)
	}
	var j struct {
		Artifacts []struct{ RelativePath string }
	}
	if err := c.get(ctx, buildPath(job, number), &j, map[string]string{"tree": "artifacts[relativePath]"}); err != nil {
		return fail(err)
	}
	var files [][]byte
	for _, a := range j.Artifacts {
		if !matches(patterns, a.RelativePath) {
			continue
		}
		if len(files) == reportFiles {
			return fail(fmt.Errorf("more than %d files match", reportFiles))
		}
		file, err := c.artifact(ctx, job, number, a.RelativePath)
		if err != nil {
			return fail(err)
		}
		files = append(files, file)
	}
	return files, nil
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}

func (c *Controller) artifact(ctx context.Context, job string, number int64, name string) ([]byte, error) {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		if p == ".." || p == "." || p == "" {
			return nil, fmt.Errorf("%w: the artifact %q is no path", ErrNotJenkins, name)
		}
		parts[i] = url.PathEscape(p)
	}
	answer, err := c.send(ctx, http.MethodGet, buildPath(job, number)+"/artifact/"+strings.Join(parts, "/"), nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, more, err := readAll(answer.Body, reportBytes)
	if err == nil && more > 0 {
		err = fmt.Errorf("artifact %s: it has more than %d bytes", name, reportBytes)
	}
	return text, err
}

// NewestWith finds the newest build of a job that was triggered with a parameter of this value. errors.Is: ErrNotFound when none of
// the last 50 was.
func (c *Controller) NewestWith(ctx context.Context, job, parameter, value string) (Build, error) {
	fail := func(err error) (Build, error) {
		return Build{}, c.failed(fmt.Sprintf("find a build of %s with %s=%s", job, parameter, value), err)
	}
	var j struct {
		Builds []struct {
			Number   int64
			URL      string
			Building bool
			Result   string
			Actions  []struct {
				Parameters []struct {
					Name  string
					Value any
				}
			}
		}
	}
	err := c.get(ctx, jobPath(job), &j, map[string]string{
		"tree": fmt.Sprintf("builds[number,url,building,result,actions[parameters[name,value]]]{0,%d}", reportRecent),
	})
	if err != nil {
		return fail(err)
	}
	for _, b := range j.Builds {
		for _, a := range b.Actions {
			for _, p := range a.Parameters {
				if p.Name == parameter && fmt.Sprint(p.Value) == value {
					return Build{Job: job, Number: b.Number, URL: b.URL, Building: b.Building, Result: b.Result}, nil
				}
			}
		}
	}
	return fail(ErrNotFound)
}

// Standing reads whether a build runs, and its result.
func (c *Controller) Standing(ctx context.Context, job string, number int64) (Build, error) {
	var j struct {
		URL      string
		Building *bool
		Result   string
	}
	err := c.get(ctx, buildPath(job, number), &j, map[string]string{"tree": "url,building,result"})
	if err == nil && j.Building == nil {
		err = errors.Join(ErrNotJenkins, errors.New("the build has no building field"))
	}
	if err != nil {
		return Build{}, c.failed(fmt.Sprintf("read %s #%d", job, number), err)
	}
	return Build{Job: job, Number: number, URL: j.URL, Building: *j.Building, Result: j.Result}, nil
}
