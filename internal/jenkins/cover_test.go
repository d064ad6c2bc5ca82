package jenkins

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCover(t *testing.T) {
	cases := []struct {
		name string
		need map[string]int
		want string // at/levels/depth
	}{
		{"one job is asked itself", map[string]int{"deliver/hotel": 20}, "deliver/hotel 0 20"},
		{"jobs of one folder share a query", map[string]int{"deliver/hotel": 20, "deliver/flight": 25}, "deliver 1 25"},
		{"two folders are two queries", map[string]int{"a/x": 20, "a/y": 20, "b/x": 20, "b/y": 20}, "a 1 20, b 1 20"},
		{"of three folders the nearest two are joined", map[string]int{"a/b/x": 20, "a/c/x": 20, "d/x": 20}, "a 2 20, d/x 0 20"},
		{"folders with nothing in common are asked at the top", map[string]int{"a/x": 20, "b/x": 20, "c/x": 20}, " 2 20, c/x 0 20"},
		{"a job beside a folder of the same name prefix", map[string]int{"a": 20, "a/x": 20, "ab/x": 20}, " 2 20, ab/x 0 20"},
		{"a job with a deep look is asked alone", map[string]int{"deliver/hotel": 900, "deliver/flight": 20, "deliver/car": 20}, "deliver/hotel 0 900, deliver 1 20"},
		{"nothing needs nothing", map[string]int{}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, q := range cover(c.need, 2) {
				got = append(got, fmt.Sprintf("%s %d %d", q.at, q.levels, q.depth))
			}
			if all := strings.Join(got, ", "); all != c.want {
				t.Errorf("cover = %s\nwant    %s", all, c.want)
			}
		})
	}
}

func TestCoverShowsEveryJobToItsDepthWithinTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		need := rapid.MapOf(
			rapid.StringMatching(`[ab](/[ab]){0,3}`), rapid.IntRange(20, 500)).Draw(t, "need")
		limit := rapid.IntRange(1, 3).Draw(t, "limit")
		queries := cover(need, limit)
		if len(queries) > limit {
			t.Fatalf("%d queries, want at most %d: %+v", len(queries), limit, queries)
		}
		var seen []string
		for _, q := range queries {
			for _, job := range q.jobs {
				seen = append(seen, job)
				below, ok := strings.CutPrefix("/"+job, strings.TrimSuffix("/"+q.at, "/"))
				if !ok || len(split(strings.TrimPrefix(below, "/"))) > q.levels || q.levels == 0 && below != "" || q.depth < need[job] {
					t.Fatalf("%s to depth %d is not shown by %+v", job, need[job], q)
				}
			}
		}
		slices.Sort(seen)
		var want []string
		for job := range need {
			want = append(want, job)
		}
		slices.Sort(want)
		if !reflect.DeepEqual(seen, want) {
			t.Fatalf("jobs %v, want %v", seen, want)
		}
	})
}
