package yamlfile

import (
	"fmt"
	"slices"
	"strings"
)

// Choose is the fix for an unknown name: the nearest of the known ones if it is near enough to be meant, or else the
// known ones.
func Choose(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if len(known) == 0 {
		return "none is known"
	}
	const most = 8
	if len(known) > most {
		return fmt.Sprintf("known: %s … (%d in all)", strings.Join(known[:most], ", "), len(known))
	}
	return "known: " + strings.Join(known, ", ")
}

// Nearest returns the known name that name was probably meant to be, or "". One mistyped, missing, added or swapped
// letter is forgiven in a short name, one in three in a longer one.
func Nearest(name string, known []string) string {
	best, distance := "", max(1, min(len(name)/3, 4))+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if strings.EqualFold(k, name) {
			return k
		}
		if len(k) > len(name)+distance || len(name) > len(k)+distance || len(k) <= distance-1 {
			continue
		}
		if d := edits(name, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// edits is the optimal string alignment distance: insertions, deletions, substitutions, and swaps of neighbours.
func edits(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
