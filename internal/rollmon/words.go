package rollmon

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"railyard/internal/fleet"
)

// batchWords says which servers of the roll are meant: "(smoke servers)", "(batch 2)".
func (l look) batchWords() string {
	if l.Batch == 0 {
		return "(smoke servers)"
	}
	return fmt.Sprintf("(batch %d)", l.Batch)
}

func kindWord(i fleet.Indicator) string {
	if i.Hard {
		return "hard"
	}
	return "soft"
}

func servers(n int) string { return plural(n, "server") }

// plural counts things: "1 server", "7 servers".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// number writes a value with as many digits as people want: 4.8, 0.12, 33.3, 1200.
func number(v float64) string {
	magnitude := math.Abs(v)
	switch {
	case magnitude == 0:
		return "0"
	case magnitude >= 1e15 || magnitude < 1e-4:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case magnitude >= 10:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	default: // two significant digits, without an exponent
		short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 2, 64), 64)
		return strconv.FormatFloat(short, 'f', -1, 64)
	}
}

// tiny is the smallest probability that is written out.
const tiny = 1e-300

// probability writes a p-value: 0.12, 3e-8.
func probability(p float64) string {
	switch {
	case p < tiny:
		p = tiny
	case p >= 0.01:
		return strconv.FormatFloat(p, 'f', 2, 64)
	}
	return strings.Replace(strconv.FormatFloat(p, 'e', 0, 64), "e-0", "e-", 1)
}

// relation writes a p-value with its sign: "= 3e-8", "< 1e-300".
func relation(p float64) string {
	if p < tiny {
		return "< " + probability(p)
	}
	return "= " + probability(p)
}

// list names a few and counts the rest: "hotel-api-1, hotel-api-2, hotel-api-3 and 4 more".
func list(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
