package rop

import (
	"testing"

	"github.com/Masterminds/semver/v3"
	"pgregory.net/rapid"

	"railyard/internal/access"
)

func TestTwoRangesContradictWhenNoVersionIsInBoth(t *testing.T) {
	for _, c := range []struct {
		a, b string
		meet bool
	}{
		{">=2.1.0", "<2.1.0", false},
		{">=2.1.0", "<=2.1.0", true},
		{">2.1.0", "<2.1.2", true},
		{">2.1.0", "<2.1.1", false},
		{"^1.2", "^2", false},
		{"~1.2", "^1.2.9", true},
		{"1.x", "2.x || 1.9.x", true},
		{"!=1.0.0", "=1.0.0", false},
		{">=1.0.0-rc.1 <1.0.0", "=1.0.0-rc.2", true},
		{"*", "0.0.0", true},
	} {
		if got := meet(c.a, c.b); got != c.meet || meet(c.b, c.a) != c.meet {
			t.Errorf("%s and %s: %v", c.a, c.b, got)
		}
	}
}

// What meet finds by a few versions is what trying every version finds.
func TestPropertyAVersionInBothRangesIsFound(t *testing.T) {
	number := rapid.SampledFrom([]string{"0", "1", "2", "3"})
	comparison := rapid.Custom(func(t *rapid.T) string {
		v := number.Draw(t, "major") + "." + number.Draw(t, "minor")
		if rapid.Bool().Draw(t, "patch") {
			v += "." + number.Draw(t, "patch")
		}
		return rapid.SampledFrom([]string{"=", "!=", ">", ">=", "<", "<=", "~", "^"}).Draw(t, "op") + v
	})
	within := rapid.Custom(func(t *rapid.T) string {
		text := comparison.Draw(t, "first")
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			text += rapid.SampledFrom([]string{" ", " || "}).Draw(t, "and") + comparison.Draw(t, "next")
		}
		return text
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := within.Draw(t, "a"), within.Draw(t, "b")
		first, second := must(semver.NewConstraint(a)), must(semver.NewConstraint(b))
		any := false
		for n := range uint64(6 * 6 * 6) {
			v := semver.New(n/36, n/6%6, n%6, "", "")
			any = any || first.Check(v) && second.Check(v)
		}
		if meet(a, b) != any {
			t.Fatalf("%s and %s: meet says %v", a, b, !any)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestTheRolesOfARollbackPlanAreThoseThatMayBeAllowedTo(t *testing.T) {
	var allowed []string
	for _, role := range access.Roles() {
		if access.Authorize(access.Actor{Person: "x", Role: role, SBU: "*"}, access.Rollback, access.Object{Name: "roll/x"}) == nil {
			allowed = append(allowed, string(role))
		}
	}
	if got := RollbackRoles(); len(got) != len(allowed) {
		t.Fatalf("a plan may name %v, access allows %v", got, allowed)
	}
	for i, role := range RollbackRoles() {
		if role != allowed[i] {
			t.Errorf("a plan may name %v, access allows %v", RollbackRoles(), allowed)
		}
	}
}
