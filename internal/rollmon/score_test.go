package rollmon_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"railyard/internal/rollmon/score"
)

// scored is how the judge did on many series of one shape.
type scored struct {
	shape  score.Shape
	series int
	took   []time.Duration // of those in which it breached, in order
	words  string          // of one of them
}

// floor is what a shape must not fall under. For faults: how many of the series are found at least, and how late the median
// and the last of them may be; for the others: how many false alarms there may be.
type floor struct {
	found        int
	median, last time.Duration
	alarms       int
}

// scores are how many series of each shape are judged: those in testdata, and more of the same generator.
var scores = flag.Int("scores", floorSeries, "labelled series of each shape to judge; floors hold for the default")

const floorSeries = 20

// floors are what was measured when they were written, rounded to the worse.
var floors = map[string]floor{
	"step":                          {found: 20, median: 15 * time.Second, last: 45 * time.Second},
	"late step":                     {found: 20, median: 45 * time.Second, last: 70 * time.Second},
	"slow leak of errors":           {found: 20, median: 120 * time.Second, last: 160 * time.Second},
	"spikes":                        {found: 20, median: 30 * time.Second, last: 30 * time.Second},
	"step under a rising load":      {found: 20, median: 15 * time.Second, last: 45 * time.Second},
	"rare errors, more of them":     {found: 17, median: 150 * time.Second, last: 300 * time.Second},
	"zero baseline, errors":         {found: 20, median: 30 * time.Second, last: 60 * time.Second},
	"one sick machine among twenty": {found: 20, median: 5 * time.Second, last: 10 * time.Second},
	"step with lost scrapes":        {found: 20, median: 20 * time.Second, last: 50 * time.Second},
	"latency step":                  {found: 20, median: 2 * time.Minute, last: 2 * time.Minute},
	"slow leak of latency":          {found: 20, median: 4 * time.Minute, last: 6 * time.Minute},
	"memory leak":                   {found: 20, median: 4 * time.Minute, last: 5 * time.Minute},
	"load doubled":                  {found: 20, median: time.Minute, last: time.Minute},
	"unchanged":                     {},
	"exactly on the limit":          {},
	"rising load":                   {},
	"rare errors, as before":        {},
	"zero baseline, one error":      {},
	"an incident of all":            {},
	"lost scrapes":                  {},
	"latency, as before":            {},
	"latency that varies more":      {},
	"latency under a rising load":   {},
	"one slow machine":              {},
	"disk that is rotated":          {},
	"load, as before":               {},
}

func TestTheJudgeIsScoredOnLabelledSeries(t *testing.T) {
	var (
		table strings.Builder
		wait  sync.WaitGroup
		all   = make([]scored, len(score.Shapes()))
	)
	for n, shape := range score.Shapes() {
		wait.Go(func() { all[n] = scoreShape(t, shape) })
	}
	wait.Wait()
	fmt.Fprintf(&table, "\n%-32s %-24s %s", "fault", "found of all", "after: fastest, median, 90 %, slowest")
	for _, s := range all {
		if s.shape.Fault {
			fmt.Fprintf(&table, "\n%-32s %3d of %-3d %5.1f %%       %s", s.shape.Name, len(s.took), s.series, 100*float64(len(s.took))/float64(s.series), s.times())
		}
	}
	fmt.Fprintf(&table, "\n\n%-32s %s", "no fault", "false alarms of all")
	for _, s := range all {
		if !s.shape.Fault {
			fmt.Fprintf(&table, "\n%-32s %3d of %-3d %5.1f %%       %s", s.shape.Name, len(s.took), s.series, 100*float64(len(s.took))/float64(s.series), s.words)
		}
	}
	t.Log(table.String())
	for _, s := range all {
		if *scores == floorSeries || !s.shape.Fault {
			s.held(t)
		}
	}
}

func (s scored) at(percent int) time.Duration {
	return s.took[min(len(s.took)-1, len(s.took)*percent/100)]
}

func (s scored) times() string {
	if len(s.took) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s, %s, %s, %s", s.at(0), s.at(50), s.at(90), s.at(100))
}

func (s scored) held(t *testing.T) {
	least, ok := floors[s.shape.Name]
	switch {
	case !ok:
		t.Errorf("%s has no floor", s.shape.Name)
	case !s.shape.Fault && len(s.took) > least.alarms:
		t.Errorf("%s: %d false alarms in %d series, want at most %d; one of them: %s", s.shape.Name, len(s.took), s.series, least.alarms, s.words)
	case !s.shape.Fault:
	case len(s.took) < least.found:
		t.Errorf("%s: found in %d of %d series, want at least %d", s.shape.Name, len(s.took), s.series, least.found)
	case least.found > 0 && (s.at(50) > least.median || s.at(100) > least.last):
		t.Errorf("%s: found after %s, the last after %s, want at most %s and %s", s.shape.Name, s.at(50), s.at(100), least.median, least.last)
	}
}

// scoreShape judges the kept series of a shape and more of its seeds.
func scoreShape(t *testing.T, shape score.Shape) scored {
	s := scored{shape: shape}
	for _, series := range append(kept(t, shape), generated(shape)...) {
		s.series++
		if r := shape.Judge(series); r.Found {
			s.took = append(s.took, r.After)
			s.words = r.Words
		}
	}
	slices.Sort(s.took)
	return s
}

// kept are the series in testdata. They must be what the generator makes of their seeds.
func kept(t *testing.T, shape score.Shape) []score.Series {
	path := filepath.Join("testdata", "series", shape.File())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v: write it with go run ./internal/rollmon/scoregen", err)
		return nil
	}
	all, err := shape.Read(bytes.NewReader(data))
	if err != nil {
		t.Error(err)
		return nil
	}
	var again []score.Series
	for _, s := range all {
		again = append(again, shape.Generate(s.Seed))
	}
	var made bytes.Buffer
	if err := shape.Write(&made, again); err != nil || !bytes.Equal(made.Bytes(), data) {
		t.Errorf("%s is not what scoregen writes (%v): run it, and look at what the scores become", path, err)
	}
	return all
}

func generated(shape score.Shape) []score.Series {
	var all []score.Series
	for seed := uint64(1001); len(all) < *scores-5; seed++ {
		all = append(all, shape.Generate(seed))
	}
	return all
}
