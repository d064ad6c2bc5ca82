package score

import (
	"math"
	"math/rand/v2"
	"time"

	"railyard/internal/fleet"
)

// The traffic and the rates of the virtual fleet.
const (
	perSecond = 20    // requests per second and server
	usual     = 0.002 // the usual part of them that fails
	scrape    = 5 * time.Second
	measure   = 15 * time.Second
)

// Shapes are all of them: first the faults, then what must not be taken for one.
func Shapes() []Shape {
	return append(faults(), harmless()...)
}

// Find returns the shape of that name.
func Find(name string) (Shape, bool) {
	for _, s := range Shapes() {
		if s.Name == name {
			return s, true
		}
	}
	return Shape{}, false
}

func faults() []Shape {
	return []Shape{
		counted("step", "errors rise from 0.2 % to 5 % at the exposure", true, limit(1), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { return requests(m, 1, rate(m.bad(*s), 0.05)) }
		}),
		counted("late step", "errors rise to 5 % a minute after the exposure", true, limit(1), func(s *Shape) {
			s.Onset = time.Minute
			s.counts = func(m *moment) (int, int) { return requests(m, 1, rate(m.bad(*s), 0.05)) }
		}),
		counted("slow leak of errors", "errors grow by 2 % a minute", true, limit(1), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { return requests(m, 1, usual+rate(m.bad(*s), 0.02*m.at.Minutes())) }
		}),
		counted("spikes", "half of all requests fail for five seconds, every half minute", true, limit(1), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { return requests(m, 1, rate(m.bad(*s) && m.at%(30*time.Second) == 0, 0.5)) }
		}),
		counted("step under a rising load", "errors rise to 5 % while the load of all servers doubles", true, limit(1), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { return requests(m, diurnal(m.at), rate(m.bad(*s), 0.05)) }
		}),
		counted("rare errors, more of them", "errors rise from 0.02 % to 0.8 %, which is under the limit", true, comparison(), func(s *Shape) {
			s.counts = func(m *moment) (int, int) {
				if m.bad(*s) {
					return requests(m, 1, 0.008)
				}
				return requests(m, 1, 0.0002)
			}
		}),
		counted("zero baseline, errors", "errors rise from none at all to 3 %", true, comparison(), func(s *Shape) {
			s.counts = func(m *moment) (int, int) {
				if m.bad(*s) {
					return requests(m, 1, 0.03)
				}
				return requests(m, 1, 0)
			}
		}),
		counted("one sick machine among twenty", "one of twenty servers fails 20 % of its requests", true, limit(1), func(s *Shape) {
			s.Exposed, s.Control = 20, 4
			s.counts = func(m *moment) (int, int) { return requests(m, 1, rate(m.bad(*s) && m.server == 7, 0.2)) }
		}),
		counted("step with lost scrapes", "errors rise to 5 %, and a third of all scrapes is lost", true, limit(1), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { lose(m, 1./3); return requests(m, 1, rate(m.bad(*s), 0.05)) }
		}),
		measured("latency step", "latency rises by 40 % on 4 of 12 servers", true, ranks(), func(s *Shape) {
			s.value = func(m *moment) float64 { return latency(m, 1) * factor(m.bad(*s), 1.4) }
		}),
		measured("slow leak of latency", "latency grows by 10 % a minute", true, ranks(), func(s *Shape) {
			s.value = func(m *moment) float64 { return latency(m, 1) * factor(m.bad(*s), 1+0.1*m.at.Minutes()) }
		}),
		measured("memory leak", "memory fills up from 60 % by 1.5 % a minute", true, filling(), func(s *Shape) {
			s.value = func(m *moment) float64 { return 60 + noise(m, 0.3) + math.Max(0, rate(m.bad(*s), 1.5)*m.at.Minutes()) }
		}),
		measured("load doubled", "the load of the machine doubles, against itself and against the others", true, against(), func(s *Shape) {
			s.value = func(m *moment) float64 { return (4 + swing(m, 0.3)) * factor(m.bad(*s), 2) }
		}),
	}
}

func harmless() []Shape {
	return []Shape{
		counted("unchanged", "0.2 % of errors before, during and elsewhere", false, limit(1), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { return requests(m, 1, usual) }
		}),
		counted("exactly on the limit", "1 % of errors with a limit of 1 %: the worst case", false, limit(1), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { return requests(m, 1, 0.01) }
		}),
		counted("rising load", "the load doubles, the errors with it", false, comparison(), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { return requests(m, diurnal(m.at), usual) }
		}),
		counted("rare errors, as before", "0.02 % of errors everywhere", false, comparison(), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { return requests(m, 1, 0.0002) }
		}),
		counted("zero baseline, one error", "one single error where there never was one", false, comparison(), func(s *Shape) {
			s.counts = func(m *moment) (int, int) {
				failures, attempts := requests(m, 1, 0)
				if m.fresh && m.server == 0 && m.at == 40*time.Second {
					failures++
				}
				return failures, attempts
			}
		}),
		counted("an incident of all", "30 % of all requests fail for half a minute, on old and new alike", false, incident(), func(s *Shape) {
			s.Exposed, s.Control = 4, 12
			s.counts = func(m *moment) (int, int) {
				return requests(m, 1, rate(m.at >= time.Minute && m.at < 90*time.Second, 0.3))
			}
		}),
		counted("lost scrapes", "a third of all scrapes is lost, nothing else", false, limit(1), func(s *Shape) {
			s.counts = func(m *moment) (int, int) { lose(m, 1./3); return requests(m, 1, usual) }
		}),
		measured("latency, as before", "latency that swings by itself", false, ranks(), func(s *Shape) {
			s.value = func(m *moment) float64 { return latency(m, 1) }
		}),
		measured("latency that varies more", "three times the variance, the same middle", false, ranks(), func(s *Shape) {
			s.value = func(m *moment) float64 { return latency(m, factor(m.bad(*s), 3)) }
		}),
		measured("latency under a rising load", "latency of old and new follows the load", false, ranks(), func(s *Shape) {
			s.value = func(m *moment) float64 { return latency(m, 1) * (1 + 0.3*(diurnal(m.at)-1)) }
		}),
		measured("one slow machine", "one server is slow, as it was before the roll", false, ranks(), func(s *Shape) {
			s.value = func(m *moment) float64 { return latency(m, 1) * factor(m.server == 0, 1.8) }
		}),
		measured("disk that is rotated", "log files grow and are removed every two minutes", false, filling(), func(s *Shape) {
			s.value = func(m *moment) float64 { return 60 + noise(m, 0.1) + math.Mod((m.at+before).Minutes(), 2) }
		}),
		measured("load, as before", "a load that swings by itself", false, against(), func(s *Shape) {
			s.value = func(m *moment) float64 { return 4 + swing(m, 0.3) }
		}),
	}
}

// counted is a shape of counts: one server in baking against seven, for five minutes, unless it says otherwise.
func counted(name, tells string, fault bool, i fleet.Indicator, more func(s *Shape)) Shape {
	s := &Shape{Name: name, Tells: tells, Fault: fault, Indicator: i, Exposed: 1, Control: 7, Lasts: 5 * time.Minute, Every: scrape}
	more(s)
	return *s
}

// measured is a shape of measurements: four servers against eight, for ten minutes, unless it says otherwise.
func measured(name, tells string, fault bool, i fleet.Indicator, more func(s *Shape)) Shape {
	s := &Shape{Name: name, Tells: tells, Fault: fault, Indicator: i, Exposed: 4, Control: 8, Lasts: 10 * time.Minute, Every: measure}
	more(s)
	return *s
}

// limit is a hard ratio with a limit and no comparison.
func limit(percent float64) fleet.Indicator {
	return fleet.Indicator{Name: "5xx", Class: fleet.ClassApp, Hard: true, Ratio: &fleet.RatioIndicator{Failures: "f", Attempts: "a", Limit: percent}}
}

// comparison is a ratio whose limit hides small faults, so that the baselines must show them.
func comparison() fleet.Indicator {
	i := limit(5)
	i.Ratio.Compare = &fleet.Compare{Against: []string{fleet.BaselineBefore, fleet.BaselineControl}, Increase: 100, DeadZone: 0.1}
	return i
}

// incident is a comparison with a limit that an incident of all servers does not reach.
func incident() fleet.Indicator {
	i := comparison()
	i.Ratio.Limit = 40
	return i
}

func ranks() fleet.Indicator {
	return fleet.Indicator{Name: "p99", Class: fleet.ClassApp, Rank: &fleet.RankIndicator{Query: "q", Increase: 15}}
}

func filling() fleet.Indicator {
	return fleet.Indicator{Name: "memory", Class: fleet.ClassServer, Saturation: &fleet.SaturationIndicator{Query: "q", Full: 95, Horizon: fleet.Duration(30 * time.Minute)}}
}

// against is a value with a comparison that must be broken four times in a row.
func against() fleet.Indicator {
	return fleet.Indicator{Name: "load", Class: fleet.ClassServer, Value: &fleet.ValueIndicator{Query: "q", Consecutive: 3,
		Compare: &fleet.Compare{Against: []string{fleet.BaselineBefore, fleet.BaselineControl}, Increase: 50, DeadZone: 1}}}
}

// requests are those of one step: their number is Poisson's, and each fails by itself.
func requests(m *moment, load, failing float64) (failures, attempts int) {
	attempts = poisson(m.Rand, perSecond*scrape.Seconds()*load)
	if failing <= 0 {
		return 0, attempts
	}
	// From failure to failure: how many requests succeed in between is geometric.
	for at := gap(m.Rand, failing); at <= attempts; at += gap(m.Rand, failing) {
		failures++
	}
	return failures, attempts
}

// gap is how many requests it takes until one fails.
func gap(r *rand.Rand, failing float64) int {
	return 1 + int(math.Log(1-r.Float64())/math.Log1p(-failing))
}

// rate is the usual rate of failures, or a bad one.
func rate(bad bool, failing float64) float64 {
	if bad {
		return failing
	}
	return usual
}

func factor(acts bool, f float64) float64 {
	if acts {
		return f
	}
	return 1
}

// diurnal is the load of a morning in fast motion: it doubles in ten minutes.
func diurnal(at time.Duration) float64 { return 1 + math.Max(0, math.Min(1, at.Minutes()/10)) }

// lose loses a part of the scrapes.
func lose(m *moment, part float64) {
	m.memory["missing"] = 0
	if m.at > 0 && m.Float64() < part {
		m.memory["missing"] = 1
	}
}

// latency is a p99 around 120 ms: each machine has its own level, and each measurement resembles the one before it.
func latency(m *moment, variance float64) float64 {
	if _, known := m.memory["level"]; !known {
		m.memory["level"] = 120 * math.Exp(0.1*m.NormFloat64())
	}
	return m.memory["level"] * math.Exp(swing(m, 0.08)*math.Sqrt(variance))
}

// swing is noise that remembers: an autoregression with a factor of 0.6 from one measurement to the next.
func swing(m *moment, deviation float64) float64 {
	const keeps = 0.6
	m.memory["swing"] = keeps*m.memory["swing"] + math.Sqrt(1-keeps*keeps)*deviation*m.NormFloat64()
	return m.memory["swing"]
}

// noise does not remember.
func noise(m *moment, deviation float64) float64 { return deviation * m.NormFloat64() }

// poisson draws by Knuth's method in parts that its exponentials can hold.
func poisson(r *rand.Rand, mean float64) int {
	n := 0
	for mean > 0 {
		part := math.Min(mean, 30)
		mean -= part
		least := math.Exp(-part)
		for p := r.Float64(); p > least; p *= r.Float64() {
			n++
		}
	}
	return n
}
