package hosttest

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// RunSlots runs the rules of apps that go to slots, for drivers with the layout of package deploy.
func RunSlots(t *testing.T, start func(t *testing.T, p *Packages) Fixture) {
	for _, r := range []struct {
		name string
		test func(t *testing.T, m *machine)
	}{
		{"the pointer moves, and visitors with old pages still find their files", slotsSideBySide},
		{"going back moves the pointer, and the files of the version that went stay", slotsBack},
		{"a version stays for its days however many follow, and no longer", slotsByAge},
		{"a plan keeps them longer than the topology", slotsByPlan},
		{"a switch that was cut off before its files lay beside the others is finished by the next", slotsCutOff},
	} {
		t.Run(r.name, func(t *testing.T) {
			p := NewPackages(t)
			m := newMachine(t, start(t, p), p)
			m.Apps = []fleet.App{{Name: "web", Kind: fleet.KindWeb, Keep: 2, KeepDays: 7}}
			r.test(t, m)
		})
	}
}

// assets packs a version of the web app: one page that every version has, and an asset of its own.
func (m *machine) assets(t *testing.T, version string, days int) roller.Revision {
	t.Helper()
	return roller.NewRevision(roller.AppRelease{
		App: "web", Version: version, KeepDays: days,
		Package: m.packages.add(t, entry{name: "index.html", content: version}, entry{name: "assets/" + version + ".js", content: "of " + version}),
	})
}

func (m *machine) wantAssets(t *testing.T, versions ...string) {
	t.Helper()
	for _, v := range versions {
		m.wantFile(t, "of "+v, "web", "slots", "assets", v+".js")
	}
	found, err := os.ReadDir(m.path("web", "slots", "assets"))
	if err != nil || len(found) != len(versions) {
		t.Errorf("%d assets in slots (%v), want those of %v", len(found), err, versions)
	}
}

// age makes a version look as if it had been replaced so long ago.
func (m *machine) age(t *testing.T, r roller.Revision, days int) {
	t.Helper()
	then := time.Now().AddDate(0, 0, -days)
	if err := os.Chtimes(m.path("web", "releases", r.Apps[0].Name(), ".complete"), then, then); err != nil {
		t.Fatal(err)
	}
}

func slotsSideBySide(t *testing.T, m *machine) {
	one, two := m.assets(t, "1", 0), m.assets(t, "2", 0)
	m.mustSwitch(t, one)
	m.wantAssets(t, "1")
	m.mustSwitch(t, two)
	m.wantRunning(t, two.Apps...)
	m.wantFile(t, "2", "web", "current", "index.html")
	m.wantFile(t, "2", "web", "slots", "index.html")
	m.wantAssets(t, "1", "2")
	if _, err := os.Stat(m.path("web", "slots", ".complete")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("our stamp is among the visitors' files: %v", err)
	}
}

func slotsBack(t *testing.T, m *machine) {
	one, two := m.assets(t, "1", 0), m.assets(t, "2", 0)
	m.mustSwitch(t, one)
	m.mustSwitch(t, two)
	m.mustSwitch(t, one)
	m.wantFile(t, "1", "web", "current", "index.html")
	m.wantFile(t, "1", "web", "slots", "index.html")
	m.wantAssets(t, "1", "2")
}

func slotsByAge(t *testing.T, m *machine) {
	versions := []string{"1", "2", "3", "4"}
	var revisions []roller.Revision
	for _, v := range versions {
		revisions = append(revisions, m.assets(t, v, 0))
		m.mustSwitch(t, revisions[len(revisions)-1])
	}
	m.wantAssets(t, versions...) // Keep is 2, but none of them is old
	m.age(t, revisions[0], 8)
	m.age(t, revisions[1], 6)
	m.mustSwitch(t, m.assets(t, "5", 0))
	m.wantAssets(t, "2", "3", "4", "5")
	if _, err := os.Stat(m.path("web", "releases", revisions[0].Apps[0].Name())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a version of 8 days ago is still there: %v", err)
	}
}

func slotsByPlan(t *testing.T, m *machine) {
	one := m.assets(t, "1", 0)
	for _, r := range []roller.Revision{one, m.assets(t, "2", 0), m.assets(t, "3", 0)} {
		m.mustSwitch(t, r)
	}
	m.age(t, one, 20)
	m.mustSwitch(t, m.assets(t, "4", 30))
	m.wantAssets(t, "1", "2", "3", "4")
}

func slotsCutOff(t *testing.T, m *machine) {
	one := m.assets(t, "1", 0)
	m.mustSwitch(t, one)
	if err := os.RemoveAll(m.path("web", "slots")); err != nil {
		t.Fatal(err)
	}
	m.remove(t, "web", "running") // as a switch leaves it that died right after it moved the pointer
	m.mustSwitch(t, one)
	m.wantRunning(t, one.Apps...)
	m.wantAssets(t, "1")
}
