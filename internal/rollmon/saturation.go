package rollmon

import (
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// How something that fills up is judged. A value at or over the full mark is a breach at once. Otherwise the line of least
// squares through the measurements since the exposure is followed: when it reaches the mark within the horizon even at the
// slowest rise that the measurements leave probable (the lower confidence bound of the slope, by Student's t), it will be
// full soon. The bound spends of the roll's budget like every other test, over all sizes the sample grows to. Measurements
// that resemble their neighbours count as fewer.
//
// Sources: N. Draper and H. Smith, Applied Regression Analysis, 3rd edition (1998), section 1.4; for neighbours B. Santer et
// al., Statistical significance of trends and trend differences (2000).

// judgeSaturation judges each subject's filling.
func (l look) judgeSaturation(i fleet.Indicator, r Reading) []verdict.Finding {
	s := i.Saturation
	if usable(s.Full) != "" || s.Horizon <= 0 {
		return []verdict.Finding{l.unread(i, topologyFault("its full mark or its horizon is not a number"))}
	}
	level := l.levels.server
	if i.In() != fleet.ScopeServer {
		level = l.levels.whole
	}
	var findings []verdict.Finding
	for _, subject := range l.subjects(i, r) {
		findings = append(findings, l.filling(i, subject, level))
	}
	return findings
}

func (l look) filling(i fleet.Indicator, s subject, level float64) verdict.Finding {
	f := verdict.Finding{Indicator: i.Name, Server: s.server, Outcome: verdict.NoData, Limit: i.Saturation.Full}
	what := fmt.Sprintf("%s %s", l.Site.Pool, i.Name)
	problem := s.problem()
	var points []Point
	if problem == "" {
		points, problem = series(s.sample.Points, countedSince(l.Since, i), l.now)
	}
	if problem == "" {
		problem = stale(points, i.Saturation.Step().D(), l.now)
	}
	if problem != "" {
		f.Reason = fmt.Sprintf("%s on %s: %s", what, s.where, problem)
		return f
	}
	f.Value, f.Samples = points[len(points)-1].Value, int64(len(points))
	f.Reason = fmt.Sprintf("%s %s on %s; %s full mark %s", what, number(f.Value), s.where, kindWord(i), number(i.Saturation.Full))
	least := i.Saturation.LeastPoints()
	switch {
	case !worse(i.Saturation.Full, f.Value, i.Gets()): // at the mark is full too
		f = breached(i, f)
		f.Reason += " reached"
	case len(points) < least:
		f.Outcome = verdict.Pending
		f.Reason += fmt.Sprintf("; %d of at least %d measurements of a trend", len(points), least)
	default:
		f = l.trending(i, f, points, overLooks(level, len(points)-least+1))
	}
	return f
}

// trending follows the line through the measurements to the mark.
func (l look) trending(i fleet.Indicator, f verdict.Finding, points []Point, level float64) verdict.Finding {
	line := fit(points)
	toFull := i.Saturation.Full - line.now
	sign := 1.0
	if i.Gets() == fleet.WorseLower {
		sign = -1
	}
	horizon := i.Saturation.Horizon.D()
	f.Outcome = verdict.Pass
	f.Test, f.P, f.Level = "trend", new(line.p(sign*max(sign*toFull, 0)/horizon.Seconds(), sign)), &level
	if rise := sign * line.slope; rise > 0 {
		f.Reason += fmt.Sprintf("; at %s a minute it is full in %s", number(60*line.slope), inWords(sign*toFull/rise))
	}
	if *f.P <= level {
		f = breached(i, f)
		f.Reason += fmt.Sprintf(", horizon %s; p %s (limit %s for this roll)", i.Saturation.Horizon, relation(*f.P), probability(level))
	}
	return f
}

// inWords says how long something takes: "12m0s", "more than a year".
func inWords(seconds float64) string {
	const year = 365 * 24 * 3600
	if !(seconds < year) {
		return "more than a year"
	}
	return max(time.Duration(seconds*float64(time.Second)), 0).Round(time.Second).String()
}

// trend is a line of least squares: its value at the newest measurement, its slope per second, and what is not known of it.
type trend struct {
	now, slope float64
	deviation  float64 // standard error of the slope
	freedom    float64 // degrees of freedom: 6
}

func fit(points []Point) trend {
	x, y := make([]float64, len(points)), values(points)
	last := points[len(points)-1].At
	for n, p := range points {
		x[n] = p.At.Sub(last).Seconds()
	}
	intercept, slope := stat.LinearRegression(x, y, nil, false)
	residuals := make([]float64, len(x))
	squares := 0.0
	for n := range x {
		residuals[n] = y[n] - intercept - slope*x[n]
		squares += residuals[n] * residuals[n]
	}
	freedom := independent(residuals, squares) - 2
	_, variance := stat.MeanVariance(x, nil)
	return trend{now: intercept, slope: slope, freedom: freedom,
		deviation: math.Sqrt(squares / freedom / (variance * float64(len(x)-1)))}
}

// independent is how many independent measurements these are worth: n(1−r)/(1+r), with the correlation r of neighbours. In
// short series r is found too small, by about (1+4r)/n.
func independent(residuals []float64, squares float64) float64 {
	n := float64(len(residuals))
	if squares == 0 {
		return n
	}
	products := 0.0
	for i := 1; i < len(residuals); i++ {
		products += residuals[i] * residuals[i-1]
	}
	r := products / squares
	r = min(max(r+(1+4*r)/n, 0), 0.99)
	return n * (1 - r) / (1 + r)
}

// p is the probability of a slope like this one, or a steeper one, if the true slope were only the one that is asked for.
func (t trend) p(asked, sign float64) float64 {
	over := sign * (t.slope - asked)
	switch {
	case math.IsNaN(over) || math.IsNaN(t.deviation):
		return 1
	case over <= 0 || t.freedom <= 0:
		return 1
	case t.deviation == 0: // a perfect line
		return 0
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: t.freedom}.CDF(-over / t.deviation)
}
