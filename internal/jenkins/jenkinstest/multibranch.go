package jenkinstest

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const scanTimeout = 30 * time.Second

// escapeBranch is the name of a branch's job: "feature%2Fx".
func escapeBranch(name string) string { return url.PathEscape(name) }

// triggerScan is POST build on a multibranch Pipeline: it looks for branches, and
// answers a redirect without a queue item.
func (q *request) triggerScan(m *item) {
	if !q.post() || !q.allowed(jobBuild) {
		return
	}
	scm := m.config.scm
	if scm == nil {
		q.oops(http.StatusInternalServerError, "no branch source is configured")
		return
	}
	// The repository may be served by somebody who waits for this controller.
	c := q.c
	c.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), scanTimeout)
		defer cancel()
		names, err := branches(ctx, scm.URL)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err == nil && !c.closing && !m.gone {
			err = c.scan(m, names)
		}
		if err != nil {
			c.o.Log.WithError(err).Errorf("scan %s", m.fullName())
		}
	})
	q.redirect(m.path())
}

func xmlEscape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // into memory
	return b.String()
}

// scan makes the branch jobs of a multibranch Pipeline be those of its repository.
func (c *controller) scan(m *item, names []string) error {
	for _, name := range names {
		encoded := escapeBranch(name)
		if m.kids[encoded] != nil {
			continue
		}
		s := *m.config.scm
		doc := fmt.Appendf(nil, `<flow-definition><definition class="org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition">`+
			`<scm class="hudson.plugins.git.GitSCM"><userRemoteConfigs><hudson.plugins.git.UserRemoteConfig><url>%s</url>`+
			`</hudson.plugins.git.UserRemoteConfig></userRemoteConfigs></scm><scriptPath>%s</scriptPath></definition>`+
			`<properties><org.jenkinsci.plugins.workflow.multibranch.BranchJobProperty><branch><head><name>%s</name></head></branch>`+
			`</org.jenkinsci.plugins.workflow.multibranch.BranchJobProperty></properties></flow-definition>`,
			xmlEscape(s.URL), xmlEscape(s.ScriptPath), xmlEscape(name))
		it, err := c.add(m, encoded, doc)
		if err != nil {
			return err
		}
		c.schedule(it, nil, Cause{Class: "jenkins.branch.BranchIndexingCause", Text: "Branch indexing"}, 0)
	}
	return nil
}
