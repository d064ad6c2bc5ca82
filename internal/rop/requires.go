package rop

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// requires checks each requirement by itself, and then those about the same thing against each other.
func (f *former) requires() {
	ranges := map[string][]int{} // "app public-api" → the requirements with a usable range
	for i, r := range f.plan.Requires {
		at := fmt.Sprintf("$.requires[%d]", i)
		if !f.requirement(at, r) || r.Version == "" {
			continue
		}
		key := "app " + r.App
		if r.App == "" {
			key = "project " + r.Project
		}
		for _, j := range ranges[key] {
			other := f.plan.Requires[j]
			if !meet(r.Version, other.Version) {
				f.say(at+".version", fmt.Sprintf("requires: no version of %s is in %q and in %q, which requires[%d] asks for", key, r.Version, other.Version, j), "correct one of the two")
			}
		}
		ranges[key] = append(ranges[key], i)
	}
}

// requirement reports whether one requirement says something that can be held.
func (f *former) requirement(at string, r Requirement) bool {
	before := len(f.found)
	given := 0
	for _, name := range []string{r.App, r.Project, r.Coach} {
		if name != "" {
			given++
		}
	}
	switch {
	case given != 1:
		f.say(at, fmt.Sprintf("requires: an entry names %d things", given), "name one of app: (with version:), project: or coach:")
		return false
	case r.App != "" && slices.Contains(f.plan.Apps, r.App):
		f.say(at+".app", fmt.Sprintf("requires: %q travels in this plan itself", r.App), "remove the entry; the topology's after: orders the plan's own pools")
	case r.Project != "" && r.Project == f.plan.Project, r.Coach != "" && projectOf(r.Coach) == f.plan.Project:
		f.say(at, fmt.Sprintf("requires: the plan of %q requires itself", f.plan.Project), "remove the entry")
	case r.Project != "" && !projectName.MatchString(r.Project):
		f.say(at+".project", fmt.Sprintf("requires: %q is no project", r.Project), nameRule)
	case r.Coach != "" && !coachSeries.MatchString(r.Coach):
		f.say(at+".coach", fmt.Sprintf("requires: %q is no project Coach", r.Coach), "write project and number, such as public-api-7, without a candidate")
	case r.Coach != "" && r.Version != "":
		f.say(at+".version", "requires: a Coach has its version already", "remove version, or name the project instead of the Coach")
	case r.App != "" && r.Version == "":
		f.say(at+".version", fmt.Sprintf("requires: version of %q is missing", r.App), `write a range, such as version: ">=2.1.0 <3.0.0"`)
	}
	if r.Version == "" || len(f.found) > before {
		return len(f.found) == before
	}
	if _, err := semver.NewConstraint(r.Version); err != nil {
		f.say(at+".version", fmt.Sprintf("requires: version %q is no range of versions", r.Version), `write such as ">=2.1.0 <3.0.0" or "^2.1"`)
	} else if !meet(r.Version, r.Version) {
		f.say(at+".version", fmt.Sprintf("requires: no version is in %q", r.Version), `write such as ">=2.1.0 <3.0.0" or "^2.1"`)
	}
	return len(f.found) == before
}

// projectOf is the project of a project Coach: "public-api" of "public-api-7".
func projectOf(coach string) string {
	if i := strings.LastIndexByte(coach, '-'); i > 0 {
		return coach[:i]
	}
	return coach
}

// Holds reports whether a version satisfies a range, as requirements write it. What is no version satisfies none.
func Holds(version, within string) bool {
	v, err := semver.StrictNewVersion(version)
	if err != nil {
		return false
	}
	c, err := semver.NewConstraint(within)
	return err == nil && c.Check(v)
}

// meet reports whether a version exists that is in both ranges. Released versions are well-ordered, so if any is in both there
// is a least one: 0.0.0, or where a comparison begins to hold, which is at a version that one of the ranges mentions or at
// the next patch, minor or major version after it. Pre-releases count where a range mentions them.
func meet(a, b string) bool {
	first, err := semver.NewConstraint(a)
	if err != nil {
		return false
	}
	second, err := semver.NewConstraint(b)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(edges(a+" "+b), func(v *semver.Version) bool { return first.Check(v) && second.Check(v) })
}

var mentioned = regexp.MustCompile(`(\d+)(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(-[0-9A-Za-z.-]+)?`)

func edges(ranges string) []*semver.Version {
	found := []*semver.Version{semver.New(0, 0, 0, "", "")}
	for _, m := range mentioned.FindAllStringSubmatch(ranges, -1) {
		var n [3]uint64
		for i := range n {
			n[i], _ = strconv.ParseUint(m[i+1], 10, 62) // x and nothing are 0
		}
		found = append(found, semver.New(n[0], n[1], n[2], "", ""), semver.New(n[0], n[1], n[2]+1, "", ""),
			semver.New(n[0], n[1]+1, 0, "", ""), semver.New(n[0]+1, 0, 0, "", ""))
		if pre := strings.TrimPrefix(m[4], "-"); pre != "" {
			found = append(found, semver.New(n[0], n[1], n[2], pre, ""))
		}
	}
	return found
}
