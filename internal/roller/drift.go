package roller

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Difference is one way in which a site is not as Railyard believes while no roll holds it.
type Difference struct {
	Server   string         `json:"server"` // "hotel-api-3"; "" = the site itself
	Kind     DifferenceKind `json:"kind"`
	Expected string         `json:"expected"` // in words: "hotel-api 1.4.2 (9f86d0818844)"
	Found    string         `json:"found"`    // in words: "hotel-api 5d41402abc4b"
	Since    time.Time      `json:"since"`    // when an audit saw it first; zero in what Drift returns
}

// DifferenceKind is the kind of a difference.
type DifferenceKind string

// The kinds of differences.
const (
	DriftOtherRevision DifferenceKind = "other_revision" // runs another revision, or only a part of the believed one
	DriftNothingRuns   DifferenceKind = "nothing_runs"   // runs none of the revision's apps
	DriftUnreachable   DifferenceKind = "unreachable"    // cannot be asked what it runs
	DriftPulledOut     DifferenceKind = "pulled_out"     // our flag is 0, and no roll holds the site
	DriftWeight        DifferenceKind = "weight"         // takes another share than a full one
	DriftDown          DifferenceKind = "down"           // the balancer's check fails
	DriftMaintenance   DifferenceKind = "maintenance"    // somebody holds it out: reported, not ours to undo
	DriftUnknownMember DifferenceKind = "unknown_member" // the balancer has no such member
	DriftNoBalancer    DifferenceKind = "no_balancer"    // the balancer does not answer: what it says of members is not known
)

// kindOrder is the order in which a server's differences are told: what it runs, then what the balancer makes of it.
var kindOrder = []DifferenceKind{
	DriftNoBalancer, DriftUnreachable, DriftNothingRuns, DriftOtherRevision, DriftUnknownMember, DriftMaintenance, DriftPulledOut,
	DriftWeight, DriftDown,
}

// Mendable reports whether a catch-up roll can do something about it. What people hold out, what does not answer and what is
// ill while it runs the right revision needs a person.
func (d Difference) Mendable() bool {
	switch d.Kind {
	case DriftOtherRevision, DriftNothingRuns, DriftPulledOut, DriftWeight:
		return true
	}
	return false
}

// String is the difference in one line: "hotel-api-3: pulled out: expected weight 100, found weight 0".
func (d Difference) String() string {
	text := fmt.Sprintf("%s: expected %s, found %s", strings.ReplaceAll(string(d.Kind), "_", " "), d.Expected, d.Found)
	if d.Server != "" {
		text = d.Server + ": " + text
	}
	return text
}

// Drift compares what each server runs and its rotation with what is believed of a site that no roll holds, ordered by server
// and kind. Without a believed revision there is nothing to differ from. Servers that were not asked are not judged by what
// they run. balanced says that the site has a balancer, and that it was read.
func Drift(believed Revision, servers map[string]ServerState, balanced bool) []Difference {
	if believed.ID == "" {
		return nil
	}
	var all []Difference
	for name, s := range servers {
		found := runsOther(s, believed)
		if balanced {
			found = append(found, rotatesOther(s)...)
		}
		for _, d := range found {
			d.Server = name
			all = append(all, d)
		}
	}
	SortDifferences(all)
	return all
}

// SortDifferences orders them by server, and by kind on one server.
func SortDifferences(all []Difference) {
	slices.SortFunc(all, func(a, b Difference) int {
		return cmp.Or(strings.Compare(a.Server, b.Server), slices.Index(kindOrder, a.Kind)-slices.Index(kindOrder, b.Kind))
	})
}

func runsOther(s ServerState, believed Revision) []Difference {
	switch {
	case !s.Asked, s.Reachable && s.Host.Runs(believed):
		return nil
	case !s.Reachable:
		return []Difference{{Kind: DriftUnreachable, Expected: "an answer", Found: s.HostError}}
	}
	kind := DriftNothingRuns
	var expected, found []string
	for _, a := range believed.Apps {
		name, runs := s.Host.Running[a.App]
		if runs {
			kind = DriftOtherRevision
		}
		if name == a.Name() {
			continue
		}
		if !runs {
			name = "not running"
		}
		expected = append(expected, releaseWords(a))
		found = append(found, a.App+" "+name)
	}
	return []Difference{{Kind: kind, Expected: strings.Join(expected, ", "), Found: strings.Join(found, ", ")}}
}

// releaseWords names a release for people: "hotel-api 1.4.2 (9f86d0818844)".
func releaseWords(a AppRelease) string {
	if a.Version == "" {
		return a.App + " " + a.Name()
	}
	return fmt.Sprintf("%s %s (%s)", a.App, a.Version, a.Name())
}

// fullWeight is what our flag is on a server that no roll holds.
const fullWeight = 100

func rotatesOther(s ServerState) (found []Difference) {
	switch {
	case s.Unlisted:
		return []Difference{{Kind: DriftUnknownMember, Expected: "member " + MemberName(s.Server), Found: "no such member"}}
	case s.Member.Foreign:
		return []Difference{{Kind: DriftMaintenance, Expected: "in rotation", Found: s.Member.Detail}}
	case s.Member.Weight == 0:
		found = []Difference{{Kind: DriftPulledOut, Expected: weightWords(fullWeight), Found: weightWords(0)}}
	case s.Member.Weight != fullWeight:
		found = []Difference{{Kind: DriftWeight, Expected: weightWords(fullWeight), Found: weightWords(s.Member.Weight)}}
	}
	if !s.Member.Up {
		found = append(found, Difference{Kind: DriftDown, Expected: "up", Found: s.Member.Detail})
	}
	return found
}

func weightWords(percent int) string { return fmt.Sprintf("weight %d", percent) }
