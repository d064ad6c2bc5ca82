package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"railyard/internal/yamlfile"
)

// What a file may leave out.
const (
	defaultKeep         = 5
	defaultKeepDays     = 7
	defaultPlan         = ".railyard/rop.yaml"
	defaultController   = "main"
	defaultStatus       = 200
	defaultCheckTimeout = Duration(2 * time.Second)
	defaultMinAttempts  = 20
)

// Load reads a topology file and validates all of it. name is what messages call the file. The error is a
// yamlfile.Problems: first everything that is not in the form of a topology, and when the form is right, everything
// that cannot work.
func Load(name string, data []byte) (*Topology, error) {
	doc, err := yamlfile.Parse(name, data)
	if err != nil {
		return nil, err
	}
	t := &Topology{}
	if err := doc.Decode(t); err != nil {
		return nil, err
	}
	t.applyDefaults()
	t.index = newIndex(t)
	if err := validate(t, doc); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	t.Digest = "sha256:" + hex.EncodeToString(sum[:])
	return t, nil
}

func (t *Topology) applyDefaults() {
	for i := range t.Repositories {
		fill(&t.Repositories[i].Plan, defaultPlan)
	}
	for i := range t.Pools {
		for j := range t.Pools[i].Sites {
			servers := t.Pools[i].Sites[j].Servers
			for k := range servers {
				fill(&servers[k].Member, servers[k].Name)
			}
		}
	}
	for i := range t.Apps {
		app := &t.Apps[i]
		fill(&app.Keep, defaultKeep)
		if app.Kind == KindImage || app.Kind == KindWeb {
			fill(&app.KeepDays, defaultKeepDays)
		}
		for _, sbu := range t.SBUs {
			if sbu.Name == app.SBU {
				fill(&app.Jenkins.Controller, sbu.Controller)
			}
		}
		fill(&app.Jenkins.Controller, defaultController)
		for j := range app.Smoke {
			app.Smoke[j].applyDefaults()
		}
	}
	for i := range t.Indicators {
		if ratio := t.Indicators[i].Ratio; ratio != nil {
			fill(&ratio.MinAttempts, defaultMinAttempts)
		}
		if check := t.Indicators[i].Check; check != nil {
			check.applyDefaults()
		}
	}
}

func (c *Check) applyDefaults() {
	fill(&c.Status, defaultStatus)
	fill(&c.Timeout, defaultCheckTimeout)
}

// fill gives value a default where the file says nothing.
func fill[T comparable](value *T, with T) {
	var zero T
	if *value == zero {
		*value = with
	}
}
