package fleet

import (
	"fmt"
	"math"
	"strings"
)

// The stages in which an indicator can judge.
var judgedStages = []string{"smoke", "baking", "rolling", "watch"}

// The templates of an indicator's queries.
var queryTemplates = []string{"{{.Window}}", "{{.Since}}", "{{.Now}}", "{{.Environment}}", "{{.Pool}}", "{{.Backend}}", "{{.Servers}}", "{{.Members}}"}

func (c *checker) checkIndicators() {
	seen := map[string]bool{}
	for i, ind := range c.t.Indicators {
		at := fmt.Sprintf("$.indicators[%d]", i)
		subject := called("indicator", ind.Name, at)
		c.name(at, "indicator", ind.Name, plainName, seen)
		c.oneOf(at+".class", subject, "class", string(ind.Class), words(ClassServer, ClassContainer, ClassApp, ClassDatabase, ClassATP)...)
		c.refs(at, subject, "pools", "pool", ind.Pools, c.pools)
		c.refs(at, subject, "environments", "environment", ind.Environments, c.environments)
		for j, stage := range ind.Stages {
			c.oneOf(fmt.Sprintf("%s.stages[%d]", at, j), subject, "stages", stage, judgedStages...)
		}
		c.checkSubstance(at, subject, ind)
	}
}

// checkSubstance checks what an indicator judges: exactly one of ratio, value and check.
func (c *checker) checkSubstance(at, subject string, ind Indicator) {
	var given []string
	if ind.Ratio != nil {
		given = append(given, "ratio")
		c.checkRatio(at+".ratio", subject, *ind.Ratio)
	}
	if ind.Value != nil {
		given = append(given, "value")
		c.query(at+".value.query", subject, "value: query", ind.Value.Query)
		if !c.doc.Has(at + ".value.max") {
			c.say(at+".value", subject, "value: max is missing, so nothing would be judged", "write the largest value that is still good")
		}
	}
	if ind.Check != nil {
		given = append(given, "check")
		c.checkCheck(at+".check", subject, "check", *ind.Check)
	}
	switch len(given) {
	case 1:
	case 0:
		c.say(at, subject, "it judges nothing", "give exactly one of ratio, value and check")
	default:
		c.say(at+"."+given[1], subject, strings.Join(given, " and ")+" are given", "give exactly one, and make the other an indicator of its own")
	}
}

func (c *checker) checkRatio(at, subject string, r RatioIndicator) {
	c.query(at+".failures", subject, "ratio: failures", r.Failures)
	c.query(at+".attempts", subject, "ratio: attempts", r.Attempts)
	switch {
	case !c.doc.Has(at + ".limit"):
		c.say(at, subject, "ratio: limit is missing, so nothing would be judged", "write the percentage of failures that is still good, such as limit: 1")
	case math.IsNaN(r.Limit) || r.Limit < 0 || r.Limit >= 100:
		c.say(at+".limit", subject, fmt.Sprintf("ratio: limit %g %% can never be exceeded or never be kept", r.Limit), "write 0 to less than 100 percent")
	}
	if r.MinAttempts < 1 {
		c.say(at+".min_attempts", subject, fmt.Sprintf("ratio: min_attempts %d would judge on no traffic at all", r.MinAttempts), "write 1 or more; 20 when left out")
	}
}

func (c *checker) query(at, subject, field, query string) {
	if strings.TrimSpace(query) == "" {
		c.say(at, subject, field+" is missing", "write a PromQL query that returns one sample per server")
		return
	}
	c.templates(at, subject, field, query, queryTemplates...)
}
