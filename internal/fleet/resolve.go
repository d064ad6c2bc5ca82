package fleet

import (
	"slices"
	"time"
)

// What an exhausted failure budget does (Strategy.OnFailure, Resolved.OnFailure).
const (
	OnFailurePause    = "pause"    // a person decides
	OnFailureRollback = "rollback" // the touched servers return
)

// Resolved is a Strategy with every default applied: how one site is rolled, with nothing left to look up. A roll
// stores it when it is made, so a change of the topology does not change a running roll.
type Resolved struct {
	Smoke         bool          `json:"smoke"`          // the smoke servers get the revision first
	BakingWeight  int           `json:"baking_weight"`  // percent of a full server's share: 25; 0 = no baking
	BakingTime    time.Duration `json:"baking_time"`    // 5m
	Pattern       []int         `json:"pattern"`        // percent per batch: [25] (equal parts) or [10, 40, 50]
	Pause         time.Duration `json:"pause"`          // judged time after each batch: 30s
	Watch         time.Duration `json:"watch"`          // hard indicators stay armed after the last batch: 2m
	MinUpPercent  int           `json:"min_up"`         // the floor, see Floor: 50
	FailureBudget int           `json:"failure_budget"` // servers that may fail in one roll: 0
	DrainTimeout  time.Duration `json:"drain_timeout"`  // 30s
	StepTimeout   time.Duration `json:"step_timeout"`   // 60s
	Progress      time.Duration `json:"progress"`       // 5m without any progress pauses the roll
	DoubtBound    time.Duration `json:"doubt_bound"`    // how long no traffic or no data is waited out before it pauses
	OnFailure     string        `json:"on_failure"`     // OnFailurePause or OnFailureRollback
}

// Default is the strategy of a site for which the topology says nothing. Smoke is decided by the site's servers.
func Default(production bool) Resolved {
	r := Resolved{
		Pattern:      []int{25},
		Pause:        30 * time.Second,
		Watch:        2 * time.Minute,
		MinUpPercent: 50,
		DrainTimeout: 30 * time.Second,
		StepTimeout:  60 * time.Second,
		Progress:     5 * time.Minute,
		DoubtBound:   2 * time.Minute,
		OnFailure:    OnFailureRollback,
	}
	if production {
		r.OnFailure = OnFailurePause
	}
	return r
}

// Floor is how many of a site's servers must stay healthy and in rotation: MinUpPercent of them, rounded up.
func (r Resolved) Floor(servers int) int { return (r.MinUpPercent*servers + 99) / 100 }

// StrategyFor resolves how a site is rolled: what the site says, over what its environment says, over Default. A site
// the topology does not know gets its environment's.
func (t *Topology) StrategyFor(ref SiteRef) Resolved {
	if info, ok := t.Site(ref); ok {
		return info.Strategy
	}
	env, _ := t.Environment(ref.Environment)
	return resolve(env, Site{}, true)
}

// resolve applies the layers. A site whose rolls no balancer takes part in has no share of traffic to weigh, so it does not inherit
// its environment's baking.
func resolve(env Environment, site Site, balanced bool) Resolved {
	r := Default(env.Production)
	r.Smoke = slices.ContainsFunc(site.Servers, func(s Server) bool { return s.Smoke })
	inherited := env.Strategy
	if !balanced {
		inherited.Baking = nil
	}
	r.apply(inherited)
	if site.Strategy != nil {
		r.apply(*site.Strategy)
	}
	return r
}

// apply puts what s says over r.
func (r *Resolved) apply(s Strategy) {
	if s.Baking != nil {
		r.BakingWeight, r.BakingTime = s.Baking.Weight, s.Baking.Time.D()
	}
	if len(s.Pattern) > 0 {
		r.Pattern = slices.Clone(s.Pattern)
	}
	if s.OnFailure != "" {
		r.OnFailure = s.OnFailure
	}
	override(&r.Smoke, s.Smoke)
	override(&r.MinUpPercent, s.MinUp)
	override(&r.FailureBudget, s.FailureBudget)
	overrideTime(&r.Pause, s.Pause)
	overrideTime(&r.Watch, s.Watch)
	overrideTime(&r.DrainTimeout, s.DrainTimeout)
	overrideTime(&r.StepTimeout, s.StepTimeout)
	overrideTime(&r.Progress, s.Progress)
	overrideTime(&r.DoubtBound, s.DoubtBound)
}

func override[T any](value *T, with *T) {
	if with != nil {
		*value = *with
	}
}

func overrideTime(value *time.Duration, with *Duration) {
	if with != nil {
		*value = with.D()
	}
}
