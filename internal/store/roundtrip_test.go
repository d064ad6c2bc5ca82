package store_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/internal/verdict"
	"railyard/pipeline"
)

// some generates any value of T that the store is asked to keep: times in microseconds, numbers that JSON has, texts
// that fit their columns.
func some[T any]() *rapid.Generator[T] {
	return rapid.MakeCustom[T](rapid.MakeConfig{
		Types: map[reflect.Type]*rapid.Generator[any]{
			reflect.TypeFor[time.Time](): rapid.Custom(func(t *rapid.T) any {
				if rapid.Bool().Draw(t, "zero time") {
					return time.Time{}
				}
				return time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(t, "time")).UTC()
			}),
			reflect.TypeFor[fleet.Duration](): rapid.Map(rapid.Int64Range(0, 1e15), func(d int64) any { return fleet.Duration(d) }),
		},
		Kinds: map[reflect.Kind]*rapid.Generator[any]{
			reflect.String:  rapid.StringN(0, 20, 60).AsAny(),
			reflect.Int:     rapid.IntRange(-1<<31, 1<<31-1).AsAny(),
			reflect.Float64: rapid.Float64Range(-1e300, 1e300).AsAny(),
		},
	})
}

// sortTargets gives the targets the names and the order that a roll has.
func sortTargets(r *roller.Roll) {
	for i := range r.Targets {
		r.Targets[i].Server, r.Targets[i].Batch = fmt.Sprintf("s-%03d", i), i/3
	}
	if len(r.Targets) == 0 {
		r.Targets = nil
	}
}

var roundTripRules = []rule{
	{"every coach comes back as it was saved", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			first, second := some[rop.Coach]().Draw(rt, "first"), some[rop.Coach]().Draw(rt, "second")
			for _, c := range []*rop.Coach{&first, &second} {
				c.ID, c.Project, c.Repository, c.Branch = fmt.Sprint("c-", n), fmt.Sprint("p-", n), "r", fmt.Sprint("b-", n)
				for i := range c.Builds {
					c.Builds[i].Deployment = fmt.Sprint("d-", n, "-", i)
				}
			}
			first.State, first.Closed = rop.Building, false
			ok(rt, s.TakeIn(t.Context(), pipeline.TakeIn{Repository: "r", Branch: first.Branch, NewTip: "x", Coach: &first}))
			equal(rt, "coach", must[rop.Coach](rt)(s.Coach(t.Context(), first.ID)), first)
			for _, claim := range must[[]pipeline.Claim](rt)(s.ClaimCoaches(t.Context(), fmt.Sprint("o-", n), t0, ttl)) {
				if claim.Coach.ID == first.ID {
					ok(rt, s.SaveCoach(t.Context(), claim, pipeline.Save{Coach: second}))
				}
			}
			equal(rt, "saved coach", must[rop.Coach](rt)(s.Coach(t.Context(), first.ID)), second)
			equal(rt, "latest coach", must[rop.Coach](rt)(s.LatestCoach(t.Context(), "r", first.Branch)), second)
		})
	}},
	{"every roll comes back as it was saved", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			first, second := some[roller.Roll]().Draw(rt, "first"), some[roller.Roll]().Draw(rt, "second")
			first.ID, second.ID, first.Stage = fmt.Sprint("r-", n), fmt.Sprint("r-", n), roller.Smoke
			sortTargets(&first)
			sortTargets(&second)
			if len(second.Targets) < len(first.Targets) { // a target never goes away
				second.Targets = append(second.Targets, first.Targets[len(second.Targets):]...)
			}
			ok(rt, s.AddRoll(t.Context(), first))
			equal(rt, "roll", must[roller.Roll](rt)(s.Roll(t.Context(), first.ID)), first)
			for _, claim := range must[[]roller.Claim](rt)(s.ClaimRolls(t.Context(), "o", t0, ttl)) {
				if claim.Roll.ID == first.ID {
					equal(rt, "claimed roll", claim.Roll, first)
					ok(rt, s.SaveRoll(t.Context(), claim, roller.Save{Roll: second, Targets: second.Targets}))
				}
			}
			equal(rt, "saved roll", must[roller.Roll](rt)(s.Roll(t.Context(), first.ID)), second)
		})
	}},
	{"every delivery, fact and order comes back as it was given", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		push(t, s, coach(1, 1))
		ok(t, s.AddRoll(t.Context(), roll("r-1", 1)))
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			d := some[pipeline.Delivery]().Draw(rt, "delivery")
			d.Key, d.RetryAt, d.Tries = fmt.Sprint(n), time.Time{}, d.Tries%1000
			id, _, err := s.SaveDelivery(t.Context(), d)
			ok(rt, err)
			d.ID = id
			equal(rt, "delivery", must[[]pipeline.Delivery](rt)(s.PendingDeliveries(t.Context(), t0, 1)), []pipeline.Delivery{d})
			ok(rt, s.PutOffDelivery(t.Context(), id, "", t0.Add(time.Hour)))

			c := rop.Coach{ID: fmt.Sprint("c-", n), Project: "p", Series: n, Repository: "r", Branch: fmt.Sprint(n)}
			p, a, o := some[pipeline.Package]().Draw(rt, "package"), some[rop.Approval]().Draw(rt, "approval"), some[pipeline.Command]().Draw(rt, "order")
			a.Coach = c.ID
			p.Deployment, o.Coach = fmt.Sprint("d-", n), c.ID
			c.Builds = []rop.Build{{Deployment: p.Deployment}}
			push(rt, s, c)
			ok(rt, s.PublishPackage(t.Context(), p))
			ok(rt, s.AddApproval(t.Context(), c.ID, a))
			o.ID = must[int64](rt)(s.AddCoachCommand(t.Context(), o))
			equal(rt, "facts", must[pipeline.Facts](rt)(s.Facts(t.Context(), c)), pipeline.Facts{
				Packages: map[string]pipeline.Package{p.Deployment: p}, Begun: map[string]pipeline.Begun{}, Rolls: map[string]pipeline.RollFact{},
				Approvals: []rop.Approval{a}, Commands: []pipeline.Command{o}})

			r := roll(fmt.Sprint("r-", n, "x"), 0)
			ok(rt, s.AddRoll(t.Context(), r))
			order := some[roller.Command]().Draw(rt, "order to the roll")
			order.Roll = r.ID
			order.ID = must[int64](rt)(s.AddRollCommand(t.Context(), order))
			equal(rt, "orders", must[[]roller.Command](rt)(s.PendingCommands(t.Context(), r.ID)), []roller.Command{order})
			said := some[verdict.Entered]().Draw(rt, "verdict of a person")
			said.Coach = c.ID
			ok(rt, s.AddTestVerdict(t.Context(), said))
			equal(rt, "verdicts of people", must[[]verdict.Entered](rt)(s.TestVerdicts(t.Context(), c.ID)), []verdict.Entered{said})
		})
	}},
	{"every event, topology and token comes back as it was given", func(t *testing.T, dsn string) {
		s := open(t, dsn)
		n, last := 0, int64(0)
		rapid.Check(t, func(rt *rapid.T) {
			n++
			told := rapid.SliceOfN(some[event.Event](), 1, 5).Draw(rt, "events")
			topology := some[store.Topology]().Draw(rt, "topology")
			topology.Digest = fmt.Sprint(n)
			version, applied, err := s.ApplyTopology(t.Context(), topology, told...)
			ok(rt, err)
			topology.Version = version
			equal(rt, "applied", applied, true)
			equal(rt, "topology", must[store.Topology](rt)(s.CurrentTopology(t.Context())), topology)
			for i := range told {
				last++
				told[i].ID = last
			}
			equal(rt, "events", must[[]event.Event](rt)(s.Events(t.Context(), store.EventFilter{After: last - int64(len(told))})), told)
			token := some[store.Token]().Draw(rt, "token")
			token.Hash, token.Revoked = fmt.Sprint(n), time.Time{}
			ok(rt, s.AddToken(t.Context(), token))
			equal(rt, "token", must[store.Token](rt)(s.TokenByHash(t.Context(), token.Hash)), token)
		})
	}},
}
