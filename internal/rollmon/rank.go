package rollmon

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/aclements/go-moremath/stats"
	"gonum.org/v1/gonum/stat/combin"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// How measurements are compared by their ranks. The Mann-Whitney U test asks how probable it would be, if both revisions
// behaved alike, that the new one's values rank so high among all. It needs values that do not repeat each other, and no
// difference between the groups but the revision. Hence:
//
//   - A minute of one server counts as one value, the median of its measurements, since measurements a few seconds apart
//     say the same thing twice. Whole minutes from the exposure on are compared, on both sides.
//   - Where the time before the roll is known, each server's own level, the median of that time, is taken off its values:
//     a slow machine is not a slow version.
//   - Where so many servers take part that the test can decide between servers, a server is one value, the median of its minutes.
//     Otherwise the minutes are compared, but only with each server's own level taken off.
//   - With n values against m the smallest p there can be is 1/C(n+m, n). Where that is above the level, the test can never
//     decide; the finding abstains and says so, instead of a pass that means nothing.
//
// A breach also needs an effect: the probability that a new value is worse than an old one (U/nm, the common language
// effect size), and a median that got worse by more than increase and dead zone.
//
// Sources: H. Mann and D. Whitney, On a test of whether one of two random variables is stochastically larger than the
// other (1947); K. McGraw and S. Wong, A common language effect size statistic (1992).

// rankBlock is the time that makes one value.
const rankBlock = time.Minute

// rankLooks is how many minutes are judged at most: of a longer time the newest.
const rankLooks = 60

// ranked is one server's values.
type ranked struct {
	server  string
	blocks  []float64 // by minute, oldest first
	level   float64   // the median before the roll
	leveled bool
}

// judgeRank judges the batch as one.
func (l look) judgeRank(i fleet.Indicator, r Reading) verdict.Finding {
	f := verdict.Finding{Indicator: i.Name, Outcome: verdict.NoData, Limit: i.Rank.Increase}
	what := fmt.Sprintf("%s %s on %s", l.Site.Pool, i.Name, l.together(len(l.Exposed)))
	fresh, problem := l.rankedServers(i, l.Exposed, r)
	if problem != "" {
		f.Reason = what + ": " + problem
		return f
	}
	minutes := len(fresh[0].blocks)
	for _, s := range fresh {
		minutes = min(minutes, len(s.blocks))
	}
	old, gone := l.rankedControl(i, r, minutes)
	if gone != "" {
		f.Outcome, f.Reason = verdict.Abstain, what+" is not compared: "+gone
		return f
	}
	if minutes == 0 {
		f.Outcome, f.Reason = verdict.Abstain, what+" is not compared yet: there is no whole minute of measurements since the exposure"
		return f
	}
	t := rankTest{indicator: i, level: overLooks(l.levels.whole, int(l.now.Sub(countedSince(l.Since, i))/rankBlock))}
	if problem := t.choose(fresh, old, minutes); problem != "" {
		f.Outcome, f.Reason = verdict.Abstain, fmt.Sprintf("%s cannot be judged by ranks: %s", what, problem)
		return f
	}
	return t.finding(f, what)
}

// rankedServers are the exposed servers' minutes. Each must have some: the batch is judged as one.
func (l look) rankedServers(i fleet.Indicator, names []string, r Reading) ([]ranked, string) {
	var all []ranked
	for _, name := range names {
		s, problem := l.rankedServer(i, name, r)
		if problem != "" {
			return nil, name + ": " + problem
		}
		all = append(all, s)
	}
	return all, ""
}

// rankedControl are the servers not yet rolled that have as many minutes; why there is none, otherwise.
func (l look) rankedControl(i fleet.Indicator, r Reading, minutes int) ([]ranked, string) {
	if len(l.Control) == 0 {
		return nil, "no server is left on the old revision"
	}
	var all []ranked
	for _, name := range l.Control {
		if s, problem := l.rankedServer(i, name, r); problem == "" && len(s.blocks) >= minutes {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Sprintf("no numbers from the %s not yet rolled", servers(len(l.Control)))
	}
	return all, ""
}

func (l look) rankedServer(i fleet.Indicator, name string, r Reading) (ranked, string) {
	s := l.subject(name, r)
	if problem := s.problem(); problem != "" {
		return ranked{}, problem
	}
	begin := countedSince(l.Since, i)
	points, problem := series(s.sample.Points, begin, l.now)
	if problem == "" {
		problem = stale(points, i.Rank.Step().D(), l.now)
	}
	if problem != "" {
		return ranked{}, problem
	}
	one := ranked{server: name, blocks: blocks(points, begin, l.now)}
	if r.Before != nil && !l.Began.IsZero() {
		if past, ok := r.Before.Servers[name]; ok {
			level, problem := oneValue(&past)
			one.level, one.leveled = level, problem == ""
		}
	}
	return one, ""
}

// blocks are the medians of the whole minutes between two times. A minute without a measurement is left out, and so are all
// before it: what is compared must be of the same minutes.
func blocks(points []Point, from, until time.Time) []float64 {
	whole := int(until.Sub(from) / rankBlock)
	first := max(0, whole-rankLooks)
	var medians []float64
	n := 0
	for minute := first; minute < whole; minute++ {
		begin, end := from.Add(time.Duration(minute)*rankBlock), from.Add(time.Duration(minute+1)*rankBlock)
		var inside []float64
		for ; n < len(points) && points[n].At.Before(end); n++ {
			if !points[n].At.Before(begin) {
				inside = append(inside, points[n].Value)
			}
		}
		if len(inside) == 0 {
			medians = nil
			continue
		}
		medians = append(medians, median(inside))
	}
	return medians
}

// rankTest is one Mann-Whitney test, with what it compares.
type rankTest struct {
	indicator  fleet.Indicator
	level      float64
	fresh, old []float64
	units      string  // "3 minutes of 2 servers against 21 of 7", for the words
	shift      float64 // by how much the median got worse, in the value's unit
	baseline   float64 // the old revision's median, as it was measured
	value      float64 // the new one's
}

// choose takes servers or minutes as values; it says why neither can decide.
func (t *rankTest) choose(fresh, old []ranked, minutes int) string {
	leveled := true
	for _, s := range append(append([]ranked{}, fresh...), old...) {
		leveled = leveled && s.leveled
	}
	perServer := smallestP(len(fresh), len(old))
	perMinute := smallestP(len(fresh)*minutes, len(old)*minutes)
	switch {
	case perServer <= t.level:
		t.fresh, t.old = perServerValues(fresh, minutes, leveled), perServerValues(old, minutes, leveled)
		t.units = fmt.Sprintf("%s against %d", servers(len(fresh)), len(old))
	case leveled && perMinute <= t.level:
		t.fresh, t.old = perMinuteValues(fresh, minutes), perMinuteValues(old, minutes)
		t.units = fmt.Sprintf("%s against %d", plural(len(t.fresh), "minute"), len(t.old))
	case leveled:
		return fmt.Sprintf("%s against %d, %s each, are too few to ever decide at this level: the smallest p there can be is %s, the limit for this roll %s",
			servers(len(fresh)), len(old), plural(minutes, "minute"), probability(perMinute), probability(t.level))
	default:
		return fmt.Sprintf("%s against %d are too few to ever decide: the smallest p there can be is %s, the limit for this roll %s; their minutes cannot be compared without numbers from before the roll",
			servers(len(fresh)), len(old), probability(perServer), probability(t.level))
	}
	t.value, t.baseline = median(perServerValues(fresh, minutes, false)), median(perServerValues(old, minutes, false))
	t.shift = median(t.fresh) - median(t.old)
	if t.indicator.Gets() == fleet.WorseLower {
		t.shift = -t.shift
	}
	return ""
}

// newest are a server's newest minutes, its own level taken off if asked.
func (r ranked) newest(minutes int, leveled bool) []float64 {
	all := append([]float64{}, r.blocks[len(r.blocks)-minutes:]...)
	for n := range all {
		if leveled {
			all[n] -= r.level
		}
	}
	return all
}

func perServerValues(all []ranked, minutes int, leveled bool) []float64 {
	var values []float64
	for _, s := range all {
		values = append(values, median(s.newest(minutes, leveled)))
	}
	return values
}

func perMinuteValues(all []ranked, minutes int) []float64 {
	var values []float64
	for _, s := range all {
		values = append(values, s.newest(minutes, true)...)
	}
	return values
}

// smallestP is the p-value of n values that are all worse than m others: no test by ranks can find a smaller one.
func smallestP(n, m int) float64 {
	return math.Exp(-combin.LogGeneralizedBinomial(float64(n+m), float64(n)))
}

// finding makes the test.
func (t *rankTest) finding(f verdict.Finding, what string) verdict.Finding {
	higher, lower := t.old, t.fresh // "less" is exact in the tail that matters, "greater" is its complement
	if t.indicator.Gets() == fleet.WorseLower {
		higher, lower = t.fresh, t.old
	}
	p, effect := 1.0, 0.5
	result, err := stats.MannWhitneyUTest(higher, lower, stats.LocationLess)
	switch {
	case err == nil:
		p = result.P
		effect = 1 - result.U/float64(len(t.fresh)*len(t.old))
	case !errors.Is(err, stats.ErrSamplesEqual): // all values are one and the same: nothing is worse
		f.Reason = fmt.Sprintf("%s: its values cannot be ranked: %v", what, err)
		return f
	}
	allowed := fleet.Compare{Increase: t.indicator.Rank.Increase, DeadZone: t.indicator.Rank.DeadZone}.Limit(t.baseline, fleet.WorseHigher) - t.baseline
	f.Test, f.P, f.Level, f.Effect, f.Baseline = "mann-whitney", &p, &t.level, &effect, &t.baseline
	f.Value, f.Samples, f.Outcome = t.value, int64(len(t.fresh)), verdict.Pass
	f.Limit = t.baseline + allowed
	if t.indicator.Gets() == fleet.WorseLower {
		f.Limit = t.baseline - allowed
	}
	f.Reason = fmt.Sprintf("%s is %s against %s (%s), %s worse; allowed %s; a new value is worse than an old one with %s %%; p %s (limit %s for this roll)", what,
		number(t.value), number(t.baseline), t.units, number(t.shift), number(allowed), number(100*effect), relation(p), probability(t.level))
	if p <= t.level && effect >= t.indicator.Rank.LeastEffect() && t.shift > allowed {
		f = breached(t.indicator, f)
	}
	return f
}
