//go:build linux

package e2e

import (
	"strings"
	"testing"
	"time"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/yard"
	"railyard/internal/store/mariadbtest"
)

func TestOnMariaDBAGoodPushIsReleasedAndABadOneComesBack(t *testing.T) {
	t.Parallel() // in a yard of its own
	y := openTown(t, yard.Options{
		Database: mariadbtest.Start(t).Database(t),
		Pools:    []yard.Pool{{App: pool, Kind: "api", Traffic: true, Servers: map[string]int{"FAT": 1, "UAT": 1, "PROD": 3}}},
		Rate:     400,
		Speed:    yard.Speed{Baking: 2 * time.Second, Pause: 500 * time.Millisecond, Watch: 500 * time.Millisecond},
	})
	defer func() {
		if t.Failed() {
			y.tell(t)
		}
	}()
	y.scraped(t) // or there is nothing to compare with
	good := y.release(t, pool)
	y.runsEverywhere(t)
	if b := y.buildEnds(t, good); b.Result != "SUCCESS" {
		t.Errorf("the good build is %s, expected SUCCESS", b.Result)
	}

	bad := y.deliver(t, pool, change{options: apps.Options{ErrorPercent: 5}})
	bad = y.ends(t, bad.Id, "rolled_back")
	if !strings.Contains(bad.Reason, "hard breach") {
		t.Errorf("the bad push came back for %q, expected a hard breach", bad.Reason)
	}
	for _, target := range bad.Rolls[len(bad.Rolls)-1].Targets {
		if target.Exposed != (target.Server == server(1)) {
			t.Errorf("%s took visitors on the bad version: %t; expected the smoke server only", target.Server, target.Exposed)
		}
	}
	y.runsEverywhere(t, y.version(1))
	b := y.buildEnds(t, bad)
	if b.Result != "FAILURE" || !strings.Contains(b.Description, "hard breach") {
		t.Errorf("the bad build is %s and says %q, expected FAILURE and the breach", b.Result, b.Description)
	}
	if console := y.console(t, bad); !strings.Contains(console, bad.Reason) {
		t.Errorf("the console of the bad build does not tell the reason %q:\n%s", bad.Reason, console)
	}
	y.judgedAgain(t, bad)
}
