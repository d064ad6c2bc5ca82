package fleet

import (
	"cmp"
	"errors"
	"fmt"
)

// tightening applies the fields of one override and collects those that are refused.
type tightening struct {
	subject  string // `indicator "5xx"`
	judge    string // "ratio"
	problems []error
}

// tighten returns the indicator with an override applied; it shares nothing that was changed with i.
func (i Indicator) tighten(o Override) (Indicator, error) {
	t := &tightening{subject: fmt.Sprintf("indicator %q", i.Name), judge: i.JudgedBy()}
	if o.Hard != nil {
		switch {
		case i.Hard && !*o.Hard:
			t.refuse("hard: false is looser than the topology's true")
		case *o.Hard && i.Rank != nil:
			t.refuse("hard: true, but a rank test is for soft indicators")
		default:
			i.Hard = *o.Hard
		}
	}
	weight := i.Weighs()
	if o.Weight != nil && *o.Weight > FullWeight {
		t.refuse(fmt.Sprintf("weight: %d is more than 100 percent", *o.Weight))
		o.Weight = nil
	}
	larger(t, "weight", &weight, o.Weight)
	if i.Weight = weight; i.Hard {
		i.Weight = FullWeight
	}
	smaller(t, "warmup", &i.Warmup, o.Warmup)
	i.Ratio, i.Value, i.Rank, i.Saturation, i.Report = copyOf(i.Ratio), copyOf(i.Value), copyOf(i.Rank), copyOf(i.Saturation), copyOf(i.Report)
	t.ratio(i.Ratio, o)
	t.value(i.Value, o)
	t.comparison(i, o)
	t.saturation(i.Saturation, o)
	t.report(i.Report, o)
	return i, errors.Join(t.problems...)
}

func (t *tightening) ratio(r *RatioIndicator, o Override) {
	if r == nil {
		absent(t, "limit", o.Limit)
		return
	}
	smaller(t, "limit", &r.Limit, o.Limit)
}

func (t *tightening) value(v *ValueIndicator, o Override) {
	if v == nil {
		absent(t, "max", o.Max)
		absent(t, "min", o.Min)
		absent(t, "consecutive", o.Consecutive)
		absent(t, "total", o.Total)
		return
	}
	// A limit where there was none is stricter, whatever it is.
	v.Max, v.Min = orNew(v.Max, o.Max), orNew(v.Min, o.Min)
	smaller(t, "max", v.Max, o.Max)
	larger(t, "min", v.Min, o.Min)
	smaller(t, "consecutive", &v.Consecutive, o.Consecutive)
	if v.Total == 0 && o.Total != nil {
		v.Total = *o.Total
	}
	smaller(t, "total", &v.Total, o.Total)
}

func (t *tightening) comparison(i Indicator, o Override) {
	switch {
	case i.Rank != nil:
		smaller(t, "increase", &i.Rank.Increase, o.Increase)
		smaller(t, "dead_zone", &i.Rank.DeadZone, o.DeadZone)
	case i.Compares() != nil:
		c := copyOf(i.Compares())
		smaller(t, "increase", &c.Increase, o.Increase)
		smaller(t, "dead_zone", &c.DeadZone, o.DeadZone)
		if i.Ratio != nil {
			i.Ratio.Compare = c
		} else {
			i.Value.Compare = c
		}
	default:
		absent(t, "increase", o.Increase)
		absent(t, "dead_zone", o.DeadZone)
	}
}

func (t *tightening) saturation(s *SaturationIndicator, o Override) {
	if s == nil {
		absent(t, "full", o.Full)
		absent(t, "horizon", o.Horizon)
		return
	}
	smaller(t, "full", &s.Full, o.Full)
	larger(t, "horizon", &s.Horizon, o.Horizon)
}

func (t *tightening) report(r *ReportIndicator, o Override) {
	if r == nil {
		absent(t, "max_failed", o.MaxFailed)
		absent(t, "min_passed", o.MinPassed)
		return
	}
	smaller(t, "max_failed", &r.MaxFailed, o.MaxFailed)
	least := r.LeastPassed()
	larger(t, "min_passed", &least, o.MinPassed)
	r.MinPassed = least
}

func (t *tightening) refuse(why string) {
	t.problems = append(t.problems, fmt.Errorf("%s: %s", t.subject, why))
}

// smaller takes over a value that may only become smaller.
func smaller[T cmp.Ordered](t *tightening, field string, has *T, asked *T) {
	take(t, field, has, asked, asked != nil && *asked <= *has)
}

// larger takes over a value that may only become larger.
func larger[T cmp.Ordered](t *tightening, field string, has *T, asked *T) {
	take(t, field, has, asked, asked != nil && *asked >= *has)
}

func take[T cmp.Ordered](t *tightening, field string, has *T, asked *T, stricter bool) {
	var zero T
	switch {
	case asked == nil:
	case *asked < zero && field != "max" && field != "min" && field != "full":
		t.refuse(fmt.Sprintf("%s: %v is negative", field, *asked))
	case !stricter: // also NaN, which is in no order with anything
		t.refuse(fmt.Sprintf("%s: %v is looser than the topology's %v", field, *asked, *has))
	default:
		*has = *asked
	}
}

func absent[T any](t *tightening, field string, asked *T) {
	if asked != nil {
		t.refuse(fmt.Sprintf("%s: %v, but a %s has no such limit", field, *asked, t.judge))
	}
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

// orNew is a copy of what there is, or of what is asked.
func orNew(has, asked *float64) *float64 {
	if has != nil {
		return new(*has)
	}
	return copyOf(asked)
}
