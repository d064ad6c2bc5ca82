package fleet_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"railyard/internal/fleet"
)

func TestPoolOrderKeepsEveryAfterAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "pools")
		var pools []fleet.Pool
		for i := range n {
			pool := fleet.Pool{Name: fmt.Sprintf("p%02d", i)}
			for j := range i { // edges only lead back, under names shuffled below: no cycle
				if rapid.Bool().Draw(t, "edge") {
					pool.After = append(pool.After, fmt.Sprintf("p%02d", j))
				}
			}
			pools = append(pools, pool)
		}
		names := rapid.Permutation(slices.Collect(func(yield func(string) bool) {
			for _, p := range pools {
				if !yield(p.Name) {
					return
				}
			}
		})).Draw(t, "names")
		rename := map[string]string{}
		for i, p := range pools {
			rename[p.Name] = names[i]
		}
		for i := range pools {
			pools[i].Name = rename[pools[i].Name]
			for j := range pools[i].After {
				pools[i].After[j] = rename[pools[i].After[j]]
			}
		}
		order := (&fleet.Topology{Pools: pools}).PoolOrder()
		if len(order) != n {
			t.Fatalf("%d of %d pools: %v", len(order), n, order)
		}
		for _, p := range pools {
			for _, before := range p.After {
				if slices.Index(order, before) >= slices.Index(order, p.Name) {
					t.Fatalf("%s is after %s: %v", p.Name, before, order)
				}
			}
		}
		shuffled := rapid.Permutation(pools).Draw(t, "shuffled")
		if diff := cmp.Diff(order, (&fleet.Topology{Pools: shuffled}).PoolOrder()); diff != "" {
			t.Fatalf("the order of the file shows through: %s", diff)
		}
	})
}

// Whatever a person leaves out, doubles or mistypes: a message or a topology, never a panic.
func TestNoDamagePanics(t *testing.T) {
	good, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		data := slices.Clone(good)
		for range rapid.IntRange(1, 4).Draw(t, "damages") {
			from := rapid.IntRange(0, len(data)-1).Draw(t, "from")
			to := min(len(data), from+rapid.IntRange(0, 80).Draw(t, "length"))
			with := rapid.SampledFrom([]string{"", "x", "~", "[]", "{}", "0", "-1", "\n", " ", "'", ": ", "- "}).Draw(t, "with")
			data = slices.Concat(data[:from], []byte(with), data[to:])
		}
		topology, err := fleet.Load("topology.yaml", data)
		if (topology == nil) == (err == nil) {
			t.Fatalf("neither or both: %v, %v", topology, err)
		}
		if err != nil && err.Error() == "" {
			t.Fatal("an empty message")
		}
	})
}
