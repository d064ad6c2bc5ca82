package rollmon

import (
	"fmt"
	"math"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// valueJudge holds measured values against absolute limits and against what baselines allow.
type valueJudge struct {
	look
	indicator fleet.Indicator
	reading   Reading
	controls  references // the same for every subject
}

// judgeValues judges each subject's value.
func (l look) judgeValues(i fleet.Indicator, r Reading) []verdict.Finding {
	v := i.Value
	switch {
	case v.Max == nil && v.Min == nil && v.Compare == nil:
		return []verdict.Finding{l.unread(i, topologyFault("it has no limit"))}
	case v.Max != nil && usable(*v.Max) != "" || v.Min != nil && usable(*v.Min) != "":
		return []verdict.Finding{l.unread(i, topologyFault("its limit is not a number"))}
	case v.Compare != nil && !(v.Compare.Increase >= 0 && v.Compare.DeadZone >= 0 && v.Compare.Increase+v.Compare.DeadZone <= largest):
		return []verdict.Finding{l.unread(i, topologyFault("increase and dead zone of its comparison are not numbers of 0 or more"))}
	}
	j := valueJudge{look: l, indicator: i, reading: r}
	j.controls = j.control()
	subjects := l.subjects(i, r)
	findings := make([]verdict.Finding, 0, len(subjects))
	for _, s := range subjects {
		findings = append(findings, j.finding(s))
	}
	return findings
}

// finding judges one subject.
func (j valueJudge) finding(s subject) verdict.Finding {
	f := verdict.Finding{Indicator: j.indicator.Name, Server: s.server, Outcome: verdict.NoData}
	what := fmt.Sprintf("%s %s", j.Site.Pool, j.indicator.Name)
	points, problem := j.measured(s)
	if problem != "" {
		f.Reason = fmt.Sprintf("%s on %s: %s", what, s.where, problem)
		return f
	}
	refs := j.references(s)
	b := j.bar(refs)
	f.Value, f.Samples = points[len(points)-1].Value, int64(len(points))
	f.Baseline, f.Before = refs.of(fleet.BaselineControl), refs.of(fleet.BaselineBefore)
	f.Limit = b.shown(f.Value)
	f.Reason = fmt.Sprintf("%s %s on %s%s%s", what, number(f.Value), s.where, refs.against(), b.words(kindWord(j.indicator)))
	f = j.judged(f, points, b)
	if b.compared == nil && j.indicator.Value.Compare != nil && f.Outcome == verdict.Pass {
		f.Outcome = uncompared(refs, j.indicator.Value.Max != nil || j.indicator.Value.Min != nil)
	}
	return f
}

// uncompared is the outcome of a comparison without anything to compare with: doubt when the numbers are missing; where
// there cannot be any, what the absolute limits say, if there are some.
func uncompared(refs references, limited bool) verdict.Outcome {
	switch {
	case len(refs.missing) > 0:
		return verdict.NoData
	case limited:
		return verdict.Pass
	}
	return verdict.Abstain
}

// judged decides by the newest measurement, or by all of them where their failures are limited in a row or in total.
func (j valueJudge) judged(f verdict.Finding, points []Point, b bar) verdict.Finding {
	v := j.indicator.Value
	if !v.Repeated() {
		if f.Outcome = verdict.Pass; b.bad(f.Value) {
			f = breached(j.indicator, f)
		}
		return f
	}
	total, run, longest := 0, 0, 0
	for _, p := range points {
		if run++; !b.bad(p.Value) {
			run = 0
			continue
		}
		total++
		longest = max(longest, run)
	}
	said := fmt.Sprintf("%d of %d measurements are over it, %d of them in a row", total, len(points), longest)
	switch {
	case longest > v.Consecutive && (v.Consecutive > 0 || v.Total == 0):
		f = breached(j.indicator, f)
		said += fmt.Sprintf(", and %d are allowed", v.Consecutive)
	case v.Total > 0 && total > v.Total:
		f = breached(j.indicator, f)
		said += fmt.Sprintf(", and %d in all are allowed", v.Total)
	case run > 0:
		f.Outcome = verdict.Pending
	default:
		f.Outcome = verdict.Pass
	}
	if total > 0 {
		f.Reason += "; " + said
	}
	return f
}

// measured are a subject's measurements: the newest, or all since its exposure where all are judged.
func (j valueJudge) measured(s subject) ([]Point, string) {
	if problem := s.problem(); problem != "" {
		return nil, problem
	}
	v := j.indicator.Value
	switch {
	case v.Repeated():
		points, problem := series(s.sample.Points, countedSince(j.Since, j.indicator), j.now)
		if problem == "" {
			problem = stale(points, v.Step().D(), j.now)
		}
		return points, problem
	case s.sample.Value == nil:
		return nil, "the source gave no value"
	}
	return []Point{{At: j.now, Value: *s.sample.Value}}, usable(*s.sample.Value)
}

// bar is what a value is held against.
type bar struct {
	most, least *float64
	compared    *reference
	direction   fleet.Direction
}

func (j valueJudge) bar(refs references) bar {
	b := bar{most: j.indicator.Value.Max, least: j.indicator.Value.Min, direction: j.indicator.Gets()}
	if j.indicator.Value.Compare != nil && len(refs.found) > 0 {
		b.compared = new(refs.lenient(b.direction))
	}
	return b
}

// bad reports whether a value breaks one of the limits.
func (b bar) bad(v float64) bool {
	return b.most != nil && v > *b.most || b.least != nil && v < *b.least || b.compared != nil && worse(v, b.compared.limit, b.direction)
}

// shown is the limit that a value breaks, or else the first there is.
func (b bar) shown(v float64) float64 {
	switch {
	case b.most != nil && v > *b.most:
		return *b.most
	case b.least != nil && v < *b.least:
		return *b.least
	case b.compared != nil && worse(v, b.compared.limit, b.direction):
		return b.compared.limit
	case b.most != nil:
		return *b.most
	case b.least != nil:
		return *b.least
	case b.compared != nil:
		return b.compared.limit
	}
	return 0
}

// words say the limits: "; hard limit 700".
func (b bar) words(kind string) string {
	var said []string
	if b.most != nil {
		said = append(said, fmt.Sprintf("%s limit %s", kind, number(*b.most)))
	}
	if b.least != nil {
		said = append(said, fmt.Sprintf("%s limit at least %s", kind, number(*b.least)))
	}
	if b.compared != nil {
		said = append(said, fmt.Sprintf("%s limit %s in comparison", kind, number(b.compared.limit)))
	}
	if len(said) == 0 {
		return ""
	}
	return "; " + strings.Join(said, ", ")
}

// control is the baseline of the servers not yet rolled: their median. It is told also where it limits nothing.
func (j valueJudge) control() references {
	i := j.indicator
	var refs references
	switch {
	case i.In() == fleet.ScopePool: // one, with no part of it left to compare with
	case len(j.Control) == 0:
		refs.gone = append(refs.gone, "no server is left on the old revision")
	case i.In() == fleet.ScopeBatch:
		if v, problem := oneValue(j.reading.Control); problem == "" {
			refs.found = append(refs.found, j.reference(fleet.BaselineControl, v, fmt.Sprintf("%s on the %s not yet rolled together", number(v), servers(len(j.Control)))))
		} else {
			refs.missing = append(refs.missing, "no numbers from the servers not yet rolled")
		}
	default:
		var known []float64
		for _, server := range j.Control {
			if s := j.subject(server, j.reading); s.problem() == "" {
				if v, problem := oneValue(&s.sample); problem == "" {
					known = append(known, v)
				}
			}
		}
		if len(known) == 0 {
			refs.missing = append(refs.missing, fmt.Sprintf("no numbers from the %s not yet rolled", servers(len(j.Control))))
			break
		}
		v := median(known)
		refs.found = append(refs.found, j.reference(fleet.BaselineControl, v, fmt.Sprintf("%s on %s not yet rolled", number(v), servers(len(known)))))
	}
	return refs
}

// references are the baselines of one subject. Those that the comparison does not name are told, but limit nothing.
func (j valueJudge) references(s subject) references {
	c := j.indicator.Value.Compare
	if c == nil {
		return j.controls
	}
	var refs references
	if c.With(fleet.BaselineControl) {
		refs = references{found: append(refs.found, j.controls.found...), missing: append(refs.missing, j.controls.missing...), gone: append(refs.gone, j.controls.gone...)}
	}
	if !c.With(fleet.BaselineBefore) {
		return refs
	}
	if missing, gone := j.unreadPast(j.reading); missing+gone != "" {
		refs.missing, refs.gone = appendSaid(refs.missing, missing), appendSaid(refs.gone, gone)
		return refs
	}
	past := j.reading.Before.Exposed
	if s.server != "" {
		past = nil
		if sample, ok := j.reading.Before.Servers[s.server]; ok {
			past = &sample
		}
	}
	v, problem := oneValue(past)
	if problem != "" {
		refs.missing = append(refs.missing, "before the roll: "+problem)
		return refs
	}
	refs.found = append(refs.found, j.reference(fleet.BaselineBefore, v, number(v)+" before the roll"))
	return refs
}

func appendSaid(all []string, words string) []string {
	if words == "" {
		return all
	}
	return append(all, words)
}

func (j valueJudge) reference(name string, v float64, words string) reference {
	r := reference{name: name, value: v, words: words}
	if c := j.indicator.Value.Compare; c != nil {
		r.limit = c.Limit(v, j.indicator.Gets())
	}
	return r
}

// oneValue is the value of a baseline's sample: the median of its measurements, or its one value.
func oneValue(s *Sample) (float64, string) {
	switch {
	case s == nil:
		return 0, "the source has no data"
	case s.Problem != "":
		return 0, s.Problem
	case len(s.Points) > 0:
		all := values(s.Points)
		for _, v := range all {
			if math.IsNaN(v) || math.Abs(v) > largest {
				return 0, usable(v)
			}
		}
		return median(all), ""
	case s.Value == nil:
		return 0, "the source gave no value"
	}
	return *s.Value, usable(*s.Value)
}
