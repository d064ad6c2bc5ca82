package ar_test

import (
	"fmt"
	"testing"

	"railyard/internal/ar"
)

func TestDependencies(t *testing.T) {
	top := talk()
	one := func(pool string) []string { return []string{pool} }
	before := running(top, coach("db-1.1", "1.0.0", one("hotel-db")), coach("public-1.1", "1.0.0", one("public-api")), coach("hotel-1.1", "1.0.0", one("hotel-api"), "jobws <2"),
		coach("front-1.1", "1.0.0", one("hotel-app")))
	now := running(top, coach("db-2.1", "2.0.0", one("hotel-db")), coach("jobws-2.1", "2.0.0", one("jobws")), coach("public-2.1", "2.0.0", one("public-api")),
		coach("hotel-2.1", "2.0.0", one("hotel-api"), "public-api >=2"), coach("front-2.1", "2.0.0", one("hotel-app"), "project hotel", "jobws <2"))
	want := map[string]string{
		"hotel-api":  "from 1.0.0, required by [{hotel-app 2.0.0 project hotel true}]: hotel-api 1.0.0, to which it would return, requires jobws <2, and PROD runs 2.0.0 of jobws-2.1",
		"hotel-app":  "from 1.0.0, required by []: ",
		"hotel-db":   "from 1.0.0, required by []: a migration stays, nothing to undo: it is declared backward compatible",
		"jobws":      "from , required by [{hotel-app 2.0.0 jobws <2 false}]: it was the first release of its pool, so there is nothing to return to",
		"public-api": "from 1.0.0, required by [{hotel-api 2.0.0 public-api >=2 true}]: hotel-api 2.0.0 requires public-api >=2, and public-api would be 1.0.0",
	}
	got := ar.Dependencies(top, "PROD", now, before)
	if len(got) != len(want) {
		t.Errorf("%d apps, want %d", len(got), len(want))
	}
	for _, d := range got {
		if text := fmt.Sprintf("from %s, required by %v: %s", d.Before, d.RequiredBy, d.Why); text != want[d.App] {
			t.Errorf("%s\ngot  %s\nwant %s", d.App, text, want[d.App])
		}
	}
}
