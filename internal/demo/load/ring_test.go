package load

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestTheRingSumsTheSecondsOfAWindow(t *testing.T) {
	r := newRing(10, 2)
	r.add(100, 0, Count{Requests: 1})
	r.add(101, 0, Count{Requests: 1, Failed: 1})
	r.add(101, 1, Count{Requests: 5})
	r.add(102, 0, Count{Requests: 1})
	for _, c := range []struct {
		rule        string
		first, last int64
		want        []Count
	}{
		{"both ends belong to the window", 100, 101, []Count{{2, 1}, {5, 0}}},
		{"other seconds do not", 102, 200, []Count{{1, 0}, {}}},
		{"a window of the future is empty", 103, 200, []Count{{}, {}}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if diff := cmp.Diff(c.want, r.sum(c.first, c.last)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheRingForgetsOnlyWhatIsOlderThanItsSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 8
		r := newRing(size, 1)
		now, seen := int64(1000), map[int64]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now += rapid.Int64Range(0, 3).Draw(t, "pause")
			r.add(now, 0, Count{Requests: 1})
			seen[now]++
		}
		var want int64
		for second, count := range seen {
			if second > now-size {
				want += count
			}
		}
		if got := r.sum(now-size+1, now)[0].Requests; got != want {
			t.Fatalf("%d requests in the last %d seconds, want %d", got, size, want)
		}
	})
}
