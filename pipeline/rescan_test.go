package pipeline

import (
	"testing"
	"time"

	"railyard/internal/fleet"
)

func TestMissedPushes(t *testing.T) {
	topology := &fleet.Topology{Repositories: []fleet.Repository{{Name: "hotel", Branches: []string{"release/*"}}}}
	type tips = map[string]string
	cases := []struct {
		rule        string
		tips, known tips
		missed      []string
		adopted     []string
	}{
		{"what was taken in is not missed", tips{"release/1": "a"}, tips{"release/1": "a"}, nil, nil},
		{"a branch that moved without a webhook is taken in", tips{"release/1": "b"}, tips{"release/1": "a"}, []string{"release/1 b"}, nil},
		{"so is a new one", tips{"release/1": "a", "release/2": "c"}, tips{"release/1": "a"}, []string{"release/2 c"}, nil},
		{"so is one that was deleted", tips{}, tips{"release/1": "a"}, []string{"release/1 "}, nil},
		{"but only once", tips{}, tips{"release/1": ""}, nil, nil},
		{"a branch that is not followed is left alone", tips{"main": "b", "release/1": "a"}, tips{"release/1": "a"}, nil, nil},
		{"the old branches of a repository that has just joined are noted, not built", tips{"release/1": "a", "main": "b"}, tips{}, nil, []string{"release/1 a"}},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			deliveries, takeIns := Missed(topology.Repositories[0], topology, c.tips, c.known, time.Time{})
			var missed, adopted []string
			for _, d := range deliveries {
				missed = append(missed, d.Branch+" "+d.After)
			}
			for _, a := range takeIns {
				adopted = append(adopted, a.Branch+" "+a.NewTip)
			}
			want(t, missed, c.missed)
			want(t, adopted, c.adopted)
		})
	}
}
