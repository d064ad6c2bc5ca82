package jenkinsfiles_test

import (
	"os"
	"testing"

	"railyard/internal/jenkins/jenkinstest/groovy"
)

func TestTheJenkinsfilesKeepTheRulesOfCPS(t *testing.T) {
	findings, err := groovy.Lint(t.Context(), os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
}
