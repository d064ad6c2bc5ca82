package jenkinsfiles_test

import (
	"strings"
	"testing"

	"railyard/jenkinsfiles"
)

func TestAButtonOnlySaysThatItRuns(t *testing.T) {
	engine := pipelines(t)
	for name, c := range map[string]struct {
		code, result, says string
	}{
		"done":    {"0", "SUCCESS", ""},
		"refused": {"1", "FAILURE", "Railyard did not do it (exit code 1)"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, jenkinsfiles.Buttons()["Rollback"], engine)
			y.write("press", c.code)
			y.as("li", "/job/deliver/buildWithParameters?COACH=hotel-api-7.2&MODE=emergency&REASON=looks%20odd", "")
			var b struct {
				Building bool
				Result   string
			}
			y.eventually("the button's end", func() bool {
				b.Building = true
				return y.ask("GET", "/job/deliver/1/api/json", "li", nil, &b) == 200 && !b.Building && b.Result != ""
			})
			console := y.console(1)
			if b.Result != c.result || !strings.Contains(console, c.says) || strings.Contains(console, "s3cr3t") {
				t.Errorf("%s\n%s", b.Result, console)
			}
			if y.calls() != "press\n" {
				t.Errorf("railyard was called with %q; what the person filled in is for Railyard to read at Jenkins", y.calls())
			}
		})
	}
}
