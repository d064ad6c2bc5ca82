package rollmon

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/verdict"
)

// Record is everything one verdict was made from. Judging it again gives the same verdict; judging it with other
// indicators says what they would have done. It survives a round trip through JSON, whatever the sources said.
type Record struct {
	Question   verdict.Question  `json:"question"`
	Indicators []fleet.Indicator `json:"indicators"`
	Samples    Samples           `json:"samples"`
	At         time.Time         `json:"at"` // when it was judged
}

// Judge judges the record.
func (r Record) Judge() verdict.Verdict { return Judge(r.Question, r.Indicators, r.Samples, r.At) }

// Samples is what the sources said at one look, by indicator name.
type Samples map[string]Reading

// Reading is a source's answer about one indicator. Which samples it holds follows from the indicator's scope: Servers where
// each server has its own; Exposed, and Control if the source can tell, where the scope is the batch; Exposed alone, of the
// whole site, where it is the pool.
type Reading struct {
	Source string `json:"source,omitempty"` // "prometheus"
	// Failure is set when the whole reading is unusable: SourceDown (it does not answer, or not in its language), NoData (it
	// answers, but not this) or Pending (it was not waited for). Reason says why, in words.
	Failure verdict.Outcome `json:"failure,omitempty"`
	Reason  string          `json:"reason,omitempty"` // "answered 503 Service Unavailable"
	// Servers holds the numbers by server name, of exposed and control servers. A server that is missing has no data.
	Servers map[string]Sample `json:"servers,omitempty"`
	Exposed *Sample           `json:"exposed,omitempty"` // of the judged servers as one, or of the site
	Control *Sample           `json:"control,omitempty"` // of the servers not yet rolled as one
	Before  *Past             `json:"before,omitempty"`  // the same before the roll; nil = nobody read it
}

// Past is what a source knows of the time before the roll (Request.Before). Its Failure spoils the comparison, not the
// reading.
type Past struct {
	Failure verdict.Outcome   `json:"failure,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Servers map[string]Sample `json:"servers,omitempty"`
	Exposed *Sample           `json:"exposed,omitempty"`
}

// Sample is what is known of one server, batch or site. The field that belongs to the indicator's judge is set, or Problem is.
type Sample struct {
	Problem string   `json:"problem,omitempty"` // why the numbers cannot be used: "its failures are NaN"
	Count   *Count   `json:"count,omitempty"`   // of a ratio
	Value   *float64 `json:"value,omitempty"`   // of a value: the newest measurement
	Points  []Point  `json:"points,omitempty"`  // of a rank, a saturation and a repeated value: all measurements, oldest first
	Tries   *Tries   `json:"tries,omitempty"`   // of a check
	Report  *Report  `json:"report,omitempty"`  // of a report
}

// Point is one measurement.
type Point struct {
	At    time.Time `json:"at"`
	Value float64   `json:"value"`
}

// Count is how many attempts there were since the server was exposed, and how many of them failed. Both are counts:
// anything else than whole numbers is refused by Judge, since an exact test of an estimate would be exact about nothing.
type Count struct {
	Failures float64 `json:"failures"` // 24
	Attempts float64 `json:"attempts"` // 500
}

// Tries is what a check did at one look. A source repeats a failed check once, so that one lost packet is no breach.
type Tries struct {
	Runs   int    `json:"runs"`            // 2
	Failed int    `json:"failed"`          // 2
	Words  string `json:"words,omitempty"` // of the last failure: "GET /healthz answered 500, expected 200"
}

// Report is what somebody else found. Passed and Failed both 0 means that there is no report yet.
type Report struct {
	Passed int    `json:"passed"`          // 41
	Failed int    `json:"failed"`          // 1
	By     string `json:"by,omitempty"`    // who says so: "build deliver/hotel-api #7", "person:lin"
	Words  string `json:"words,omitempty"` // in their words: "BookingTest.testCancel: expected 200, got 500"
}

// figure is a float64 that JSON can carry whatever it is: sources say NaN and infinity, and a record keeps what they said.
type figure float64

func (f figure) MarshalJSON() ([]byte, error) {
	if v := float64(f); math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Appendf(nil, "%q", fmt.Sprint(v)), nil
	}
	return json.Marshal(float64(f))
}

func (f *figure) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case `"NaN"`:
		*f = figure(math.NaN())
	case `"+Inf"`:
		*f = figure(math.Inf(1))
	case `"-Inf"`:
		*f = figure(math.Inf(-1))
	default:
		return json.Unmarshal(data, (*float64)(f))
	}
	return nil
}

type countJSON struct {
	Failures figure `json:"failures"`
	Attempts figure `json:"attempts"`
}

// MarshalJSON writes counts, and as words what is no number.
func (c Count) MarshalJSON() ([]byte, error) {
	return json.Marshal(countJSON{figure(c.Failures), figure(c.Attempts)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Count) UnmarshalJSON(data []byte) error {
	var j countJSON
	err := json.Unmarshal(data, &j)
	*c = Count{float64(j.Failures), float64(j.Attempts)}
	return err
}

type pointJSON struct {
	At    time.Time `json:"at"`
	Value figure    `json:"value"`
}

// MarshalJSON writes a point, and as a word a value that is no number.
func (p Point) MarshalJSON() ([]byte, error) {
	return json.Marshal(pointJSON{dated(p.At), figure(p.Value)})
}

// dated is a time that can be written: RFC 3339 ends with the year 9999, and so does the belief in a source's clock.
func dated(t time.Time) time.Time {
	if y := t.UTC().Year(); y < 1 || y > 9998 { // a time zone may shift it by one
		return time.Date(min(max(y, 1), 9998), 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Point) UnmarshalJSON(data []byte) error {
	var j pointJSON
	err := json.Unmarshal(data, &j)
	*p = Point{j.At, float64(j.Value)}
	return err
}

// plainSample is a Sample without its methods.
type plainSample Sample

type sampleJSON struct {
	plainSample
	Value *figure `json:"value,omitempty"` // hides that of the sample
}

// MarshalJSON writes a sample, and as a word a value that is no number.
func (s Sample) MarshalJSON() ([]byte, error) {
	return json.Marshal(sampleJSON{plainSample(s), (*figure)(s.Value)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Sample) UnmarshalJSON(data []byte) error {
	var j sampleJSON
	err := json.Unmarshal(data, &j)
	*s = Sample(j.plainSample)
	s.Value = (*float64)(j.Value)
	return err
}
