package rollmon

import (
	"fmt"
	"slices"
	"strings"

	"railyard/internal/fleet"
)

// reference is what a baseline allows: the worst value that is not worse than it by more than the comparison says.
type reference struct {
	name  string  // fleet.BaselineControl
	value float64 // of the baseline itself
	limit float64
	words string // "0.1 % on 7 servers not yet rolled"
}

// references are the baselines of a comparison that have numbers, and in words those that have none.
type references struct {
	found   []reference
	missing []string // "the source has no data of the time before the roll"
	gone    []string // what cannot be there: "no server is left on the old revision"
}

// lenient is the reference that allows most: a breach must be worse than every one of them, since what was there before
// the roll, or is there on the old revision too, is not the new one's fault.
func (r references) lenient(d fleet.Direction) reference {
	return slices.MaxFunc(r.found, func(a, b reference) int {
		if worse(a.limit, b.limit, d) {
			return 1
		}
		return -1
	})
}

// of finds a baseline's value, for the finding.
func (r references) of(name string) *float64 {
	for _, ref := range r.found {
		if ref.name == name {
			return new(ref.value)
		}
	}
	return nil
}

// against says what is compared with: " against 0.1 % on 7 servers not yet rolled and 0.2 % before the roll".
func (r references) against() string {
	var said []string
	for _, ref := range r.found {
		said = append(said, ref.words)
	}
	return against(said, r.gone, r.missing)
}

// against joins the words of what is compared with, or says why there is nothing.
func against(found, gone, missing []string) string {
	switch {
	case len(found) > 0:
		return " against " + strings.Join(found, " and ")
	case len(gone)+len(missing) > 0:
		return " compared with nothing: " + strings.Join(slices.Concat(gone, missing), "; ")
	}
	return ""
}

// worse reports whether a value is worse than another, in a direction. Nothing is worse than itself.
func worse(value, than float64, d fleet.Direction) bool {
	if d == fleet.WorseLower {
		return value < than
	}
	return value > than
}

// median of values that are numbers; there must be one.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return sorted[n/2-1] + (sorted[n/2]-sorted[n/2-1])/2 // no sum, which could overflow
}

// unreadPast says why there are no numbers of the time before the roll, as a whole.
func (l look) unreadPast(r Reading) (missing, gone string) {
	switch {
	case l.Began.IsZero():
		return "", "it is not known when the roll began"
	case r.Before == nil:
		return "the source did not read the time before the roll", ""
	case r.Before.Failure != "":
		return fmt.Sprintf("the time before the roll: %s", r.Before.Reason), ""
	}
	return "", ""
}
