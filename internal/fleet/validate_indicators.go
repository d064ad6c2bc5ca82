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
		for j, kind := range ind.Kinds {
			c.oneOf(fmt.Sprintf("%s.kinds[%d]", at, j), subject, "kinds", string(kind), words(kinds...)...)
		}
		c.refs(at, subject, "pools", "pool", ind.Pools, c.pools)
		c.refs(at, subject, "environments", "environment", ind.Environments, c.environments)
		for j, stage := range ind.Stages {
			c.oneOf(fmt.Sprintf("%s.stages[%d]", at, j), subject, "stages", stage, judgedStages...)
		}
		c.checkBearing(at, subject, ind)
		c.checkSubstance(at, subject, ind)
		c.checkSource(at, subject, ind)
	}
}

// checkBearing checks what holds for every judge: scope, direction, weight and warm-up.
func (c *checker) checkBearing(at, subject string, ind Indicator) {
	if c.doc.Has(at + ".scope") {
		c.oneOf(at+".scope", subject, "scope", string(ind.Scope), words(scopes(ind)...)...)
	}
	if c.doc.Has(at+".worse") && c.oneOf(at+".worse", subject, "worse", string(ind.Worse), words(WorseHigher, WorseLower)...) {
		if by := ind.JudgedBy(); ind.Worse == WorseLower && (by == JudgeRatio || by == JudgeCheck || by == JudgeReport) {
			c.say(at+".worse", subject, "worse: more failures of a "+by+" are always worse", "remove it, or judge by value or rank")
		}
	}
	if c.doc.Has(at + ".weight") {
		switch {
		case ind.Weight < 1 || ind.Weight > FullWeight:
			c.say(at+".weight", subject, fmt.Sprintf("weight %d is not from 1 to 100 percent", ind.Weight), "write 100 for a breach that stops by itself, less for one that needs company")
		case ind.Hard && ind.Weight < FullWeight:
			c.say(at+".weight", subject, fmt.Sprintf("weight %d, and it is hard: a hard breach rolls back by itself", ind.Weight), "remove weight, or make it soft")
		}
	}
}

// scopes are those that the indicator's judge knows.
func scopes(ind Indicator) []Scope {
	switch ind.JudgedBy() {
	case JudgeCheck:
		return []Scope{ScopeServer, ScopePool}
	case JudgeRank:
		return []Scope{ScopeBatch}
	}
	return []Scope{ScopeServer, ScopeBatch, ScopePool}
}

// checkSubstance checks what an indicator judges: exactly one judge is given.
func (c *checker) checkSubstance(at, subject string, ind Indicator) {
	given := ind.Judges()
	switch len(given) {
	case 1:
	case 0:
		c.say(at, subject, "it judges nothing", "give exactly one of ratio, value, check, rank, saturation and report")
		return
	default:
		c.say(at+"."+given[1], subject, strings.Join(given, " and ")+" are given", "give exactly one, and make the other an indicator of its own")
	}
	for _, judge := range given {
		path := at + "." + judge
		switch judge {
		case JudgeRatio:
			c.checkRatio(path, subject, ind)
		case JudgeValue:
			c.checkValue(path, subject, ind)
		case JudgeCheck:
			c.checkCheck(path, subject, "check", *ind.Check)
		case JudgeRank:
			c.checkRank(path, subject, ind)
		case JudgeSaturation:
			c.checkSaturation(path, subject, *ind.Saturation)
		case JudgeReport:
			c.checkReport(path, subject, *ind.Report)
		}
	}
}

func (c *checker) checkRatio(at, subject string, ind Indicator) {
	r := *ind.Ratio
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
	c.checkCompare(at+".compare", subject, "ratio: compare", ind)
}

func (c *checker) checkValue(at, subject string, ind Indicator) {
	v := *ind.Value
	c.query(at+".query", subject, "value: query", v.Query)
	if v.Max == nil && v.Min == nil && v.Compare == nil {
		c.say(at, subject, "value: max is missing, so nothing would be judged", "write the largest value that is still good, or min, or compare")
	}
	c.finite(at+".max", subject, "value: max", v.Max)
	c.finite(at+".min", subject, "value: min", v.Min)
	if v.Max != nil && v.Min != nil && *v.Min > *v.Max {
		c.say(at+".min", subject, fmt.Sprintf("value: no value is at least %g and at most %g", *v.Min, *v.Max), "exchange min and max")
	}
	c.positive(at+".consecutive", subject, "value: consecutive", v.Consecutive)
	c.positive(at+".total", subject, "value: total", v.Total)
	c.checkCompare(at+".compare", subject, "value: compare", ind)
}

func (c *checker) checkCompare(at, subject, field string, ind Indicator) {
	compare := ind.Compares()
	if compare == nil {
		return
	}
	if len(compare.Against) == 0 {
		c.say(at, subject, field+": with is missing, so nothing would be compared", "write with: [before, control], or one of them")
	}
	for j, baseline := range compare.Against {
		path := fmt.Sprintf("%s.with[%d]", at, j)
		c.oneOf(path, subject, field+": with", baseline, BaselineBefore, BaselineControl)
		if baseline == BaselineControl && ind.In() == ScopePool {
			c.say(path, subject, field+": with: a pool is one, and no part of it is left to compare with", "compare with before, or choose another scope")
		}
	}
	if !c.doc.Has(at + ".increase") {
		c.say(at, subject, field+": increase is missing", "write by how many percent it may be worse than its baseline, such as increase: 50")
	}
	c.notNegative(at+".increase", subject, field+": increase", compare.Increase)
	c.notNegative(at+".dead_zone", subject, field+": dead_zone", compare.DeadZone)
	if compare.Increase == 0 && compare.DeadZone == 0 && c.doc.Has(at+".increase") {
		c.say(at+".increase", subject, field+": the smallest difference would be a breach", "write an increase or a dead_zone of more than 0")
	}
}

func (c *checker) checkRank(at, subject string, ind Indicator) {
	r := *ind.Rank
	c.query(at+".query", subject, "rank: query", r.Query)
	if ind.Hard {
		c.say(strings.TrimSuffix(at, ".rank")+".hard", subject, "a rank test is for soft indicators: a certain difference may still be a small one", "remove hard, or judge it by value")
	}
	if !c.doc.Has(at + ".increase") {
		c.say(at, subject, "rank: increase is missing", "write by how many percent the median may get worse, such as increase: 20")
	}
	c.notNegative(at+".increase", subject, "rank: increase", r.Increase)
	c.notNegative(at+".dead_zone", subject, "rank: dead_zone", r.DeadZone)
	if e := r.LeastEffect(); !(e >= 0.5 && e < 1) {
		c.say(at+".effect", subject, fmt.Sprintf("rank: effect %g is not a probability from 0.5 to less than 1", r.Effect), "0.5 asks for no effect, 0.7 for a visible one")
	}
}

func (c *checker) checkSaturation(at, subject string, s SaturationIndicator) {
	c.query(at+".query", subject, "saturation: query", s.Query)
	if !c.doc.Has(at + ".full") {
		c.say(at, subject, "saturation: full is missing, so nothing would be judged", "write the value at which it is full, such as full: 95")
	}
	c.finite(at+".full", subject, "saturation: full", &s.Full)
	if s.Horizon == 0 {
		c.say(at, subject, "saturation: horizon is missing, so only what is full already would be judged", "write how far ahead its trend counts, such as horizon: 30m")
	}
	if s.Points != 0 && s.Points < 3 {
		c.say(at+".points", subject, fmt.Sprintf("saturation: %d points make no trend", s.Points), "write 3 or more; 8 when left out")
	}
}

func (c *checker) checkReport(at, subject string, r ReportIndicator) {
	c.positive(at+".max_failed", subject, "report: max_failed", r.MaxFailed)
	c.positive(at+".min_passed", subject, "report: min_passed", r.MinPassed)
}

func (c *checker) finite(at, subject, field string, v *float64) {
	if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
		c.say(at, subject, fmt.Sprintf("%s %v is not a number", field, *v), "write a number")
	}
}

func (c *checker) notNegative(at, subject, field string, v float64) {
	if !(v >= 0) || math.IsInf(v, 0) {
		c.say(at, subject, fmt.Sprintf("%s %v is not a number of 0 or more", field, v), "")
	}
}

func (c *checker) positive(at, subject, field string, n int) {
	if n < 0 {
		c.say(at, subject, fmt.Sprintf("%s %d is negative", field, n), "write 0 or more")
	}
}

func (c *checker) query(at, subject, field, query string) {
	if strings.TrimSpace(query) == "" {
		c.say(at, subject, field+" is missing", "write a PromQL query that returns one sample per server")
		return
	}
	c.templates(at, subject, field, query, queryTemplates...)
}
