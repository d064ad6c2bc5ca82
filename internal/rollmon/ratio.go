package rollmon

import (
	"fmt"
	"math"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// defaultMinAttempts is how many attempts a ratio needs where its indicator does not say.
const defaultMinAttempts = 20

// tally is a checked count: whole numbers, failures ≤ attempts.
type tally struct{ failures, attempts int64 }

func (t tally) plus(o tally) tally { return tally{t.failures + o.failures, t.attempts + o.attempts} }

func (t tally) percent() float64 {
	if t.attempts == 0 {
		return 0
	}
	return 100 * float64(t.failures) / float64(t.attempts)
}

// judgeRatio judges failures among attempts: of all exposed servers together where there are several, and of each.
//
// The sum decides about the version. Each server by itself has less traffic; once the sum has ruled out a rate well over
// the limit, a server passes when its own few failures are nothing unusual, instead of having to rule it out alone.
func (l look) judgeRatio(i fleet.Indicator, r Reading) []verdict.Finding {
	if early := l.tooEarly(i); early != nil {
		return early
	}
	j := ratioJudge{look: l, indicator: i, limit: i.Ratio.Limit / 100, least: int64(i.Ratio.MinAttempts)}
	if j.least <= 0 {
		j.least = defaultMinAttempts
	}
	j.control, j.controls, _ = sum(l.Control, r)
	if i.Ratio.Limit < 0 || i.Ratio.Limit > 100 || math.IsNaN(i.Ratio.Limit) {
		return []verdict.Finding{l.unread(i, Reading{Failure: verdict.NoData, Source: "topology",
			Reason: fmt.Sprintf("the limit %v %% is not between 0 and 100", i.Ratio.Limit)})}
	}
	var findings []verdict.Finding
	groupPasses := false
	if len(l.Exposed) > 1 {
		group := j.group(r)
		groupPasses = group.Outcome == verdict.Pass
		findings = append(findings, group)
	}
	for _, server := range l.Exposed {
		findings = append(findings, j.server(server, r, groupPasses))
	}
	return findings
}

// tooEarly answers instead of the counts when there is no span of time to count in.
func (l look) tooEarly(i fleet.Indicator) []verdict.Finding {
	switch {
	case l.Since.IsZero():
		return []verdict.Finding{l.unread(i, Reading{Failure: verdict.NoData, Source: "roller",
			Reason: "the question does not say since when the servers take traffic"})}
	case l.now.Before(l.Since):
		return []verdict.Finding{l.unread(i, Reading{Failure: verdict.Pending, Source: "clock",
			Reason: fmt.Sprintf("the servers take traffic since %s, which is %s from now", l.Since.UTC().Format("15:04:05"), l.Since.Sub(l.now))})}
	}
	return nil
}

type ratioJudge struct {
	look
	indicator fleet.Indicator
	limit     float64 // a fraction: 0.01
	least     int64
	control   tally
	controls  int // servers the control tally is made of
}

// group judges the sum of all exposed servers whose numbers can be used.
func (j ratioJudge) group(r Reading) verdict.Finding {
	total, usable, problems := sum(j.Exposed, r)
	where := servers(usable) + " together " + j.batchWords()
	if usable < len(j.Exposed) {
		where = fmt.Sprintf("%d of %s %s", usable, servers(len(j.Exposed)), j.batchWords())
	}
	if usable == 0 {
		return j.finding("", verdict.NoData, total, "on "+where+": no numbers that can be used")
	}
	f := j.judged("", where, total, j.levels.group)
	if len(problems) > 0 {
		f.Outcome = verdict.Worse(f.Outcome, verdict.NoData)
		f.Reason += "; without " + list(problems)
	}
	return f
}

// server judges one server.
func (j ratioJudge) server(server string, r Reading, groupPasses bool) verdict.Finding {
	where := server + " " + j.batchWords()
	t, problem := checked(r, server)
	if problem != "" {
		return j.finding(server, verdict.NoData, t, "on "+where+": "+problem)
	}
	f := j.judged(server, where, t, j.levels.server)
	if groupPasses && f.Outcome == verdict.Pending && inLine(t.failures, t.attempts, j.limit) {
		f.Outcome = verdict.Pass
		f.Reason = j.words(where, t) + "; in line with its batch"
	}
	return f
}

// judged applies the test to a tally: the one place where a ratio passes or breaches.
func (j ratioJudge) judged(server, where string, t tally, alpha float64) verdict.Finding {
	k, n := t.failures, t.attempts
	words := j.words(where, t)
	p := tail(k, n, j.limit)
	switch {
	case n < j.least:
		return j.finding(server, verdict.NoTraffic, t, fmt.Sprintf("%s; %d of at least %d attempts", words, n, j.least))
	case breaches(k, n, j.limit, alpha):
		if j.limit <= 0 {
			return withP(j.finding(server, breach(j.indicator), t, words+"; not one is allowed"), p)
		}
		level := tail(boundary(n, j.limit, alpha), n, j.limit)
		words = fmt.Sprintf("%s; p %s (limit %s at this look)", words, relation(p), probability(level))
		return withP(j.finding(server, breach(j.indicator), t, words), p)
	case seenEnough(k, n, j.limit) && inLine(k, n, j.limit):
		return withP(j.finding(server, verdict.Pass, t, words), p)
	default:
		if inLine(k, n, j.limit) {
			words = fmt.Sprintf("%s; too few attempts to tell it from %s %%", words, number(100*tooMuch(j.limit)))
		} else {
			words = fmt.Sprintf("%s; p %s: more than the limit explains well, too little to be sure", words, relation(p))
		}
		return withP(j.finding(server, verdict.Pending, t, words), p)
	}
}

// words says the numbers: "hotel-api 5xx rate 4.8 % (24 of 500) on …; hard limit 1 %".
func (j ratioJudge) words(where string, t tally) string {
	return fmt.Sprintf("%s %s rate %s %% (%d of %d) on %s %s; %s limit %s %%", j.Site.Pool, j.indicator.Name,
		number(t.percent()), t.failures, t.attempts, where, j.against(), kindWord(j.indicator), number(j.indicator.Ratio.Limit))
}

// against says what the servers not yet rolled show. Where nothing can be compared, it says so.
func (j ratioJudge) against() string {
	switch {
	case len(j.Control) == 0:
		return "with no server left to compare with"
	case j.controls == 0:
		return fmt.Sprintf("without numbers from the %s not yet rolled", servers(len(j.Control)))
	case j.control.attempts == 0:
		return fmt.Sprintf("against no traffic on %s not yet rolled", servers(j.controls))
	}
	return fmt.Sprintf("against %s %% on %s not yet rolled", number(j.control.percent()), servers(j.controls))
}

// sum adds the tallies that can be used, and names the servers whose cannot.
func sum(names []string, r Reading) (total tally, usable int, problems []string) {
	for _, name := range names {
		t, problem := checked(r, name)
		if problem != "" {
			problems = append(problems, name)
			continue
		}
		total = total.plus(t)
		usable++
	}
	return total, usable, problems
}

// maxCount is more than any server answers in a roll, and small enough that a sum over a whole fleet is exact.
const maxCount = 1e12

// checked returns a server's tally, or why its numbers are none.
func checked(r Reading, server string) (tally, string) {
	s, ok := r.Servers[server]
	switch {
	case !ok:
		return tally{}, "the source has no data about it"
	case s.Problem != "":
		return tally{}, s.Problem
	case s.Count == nil:
		return tally{}, "the source gave no counts"
	}
	failures, problem := wholeNumber("failures", s.Count.Failures)
	if problem != "" {
		return tally{}, problem
	}
	attempts, problem := wholeNumber("attempts", s.Count.Attempts)
	if problem != "" {
		return tally{}, problem
	}
	if failures > attempts {
		return tally{}, fmt.Sprintf("%d failures of only %d attempts: the two queries do not count the same requests", failures, attempts)
	}
	return tally{failures, attempts}, ""
}

// wholeNumber takes a count apart from what only looks like one.
func wholeNumber(what string, v float64) (int64, string) {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, fmt.Sprintf("its %s are %v, not a number", what, v)
	case v < 0:
		return 0, fmt.Sprintf("its %s went down by %s: the counter was reset", what, number(-v))
	case v > maxCount:
		return 0, fmt.Sprintf("its %s are %g, too many to be a count", what, v)
	case math.Abs(v-math.Round(v)) > 1e-6:
		return 0, fmt.Sprintf("its %s are %s, not a whole number: take the difference of a counter, not increase() or rate(), which extrapolate", what, number(v))
	}
	return int64(math.Round(v)), ""
}

func (j ratioJudge) finding(server string, o verdict.Outcome, t tally, words string) verdict.Finding {
	if o == verdict.NoData {
		words = fmt.Sprintf("%s %s %s", j.Site.Pool, j.indicator.Name, words)
	}
	f := verdict.Finding{Indicator: j.indicator.Name, Server: server, Outcome: o, Value: t.percent(),
		Limit: j.indicator.Ratio.Limit, Samples: t.attempts, Reason: words}
	if j.control.attempts > 0 {
		base := j.control.percent()
		f.Baseline = &base
	}
	return f
}

func withP(f verdict.Finding, p float64) verdict.Finding {
	f.P = &p
	return f
}
