package none

import (
	"testing"

	"railyard/internal/roller"
)

func TestAPoolWithoutBalancerHasNoMembersAndTakesEveryOrder(t *testing.T) {
	var b roller.Balancer = Balancer{}
	got, err := b.Observe(t.Context())
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("Observe = %v, %v, want an empty map", got, err)
	}
	if err := b.SetWeight(t.Context(), "job-1", 0); err != nil {
		t.Error(err)
	}
}
