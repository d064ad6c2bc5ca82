package main

import (
	"fmt"
	"slices"
	"strings"

	"railyard/internal/rop"
	"railyard/server/api"
)

// changes tells, line by line, what has become of a Coach since it was last seen; before is nil the first time. What a roll
// or a server says comes first, and the Coach's own line last, because it follows from them. Its end is not told: the
// verdict is.
func changes(before *api.Coach, now api.Coach) (lines []string) {
	if before == nil {
		lines = append(lines, fmt.Sprintf("Coach %s: %s, %s at %.8s by %s%s", now.Id, now.Repository, now.Branch, now.Commit, now.Author, titled(now)))
		before = &api.Coach{}
	}
	for _, b := range now.Builds {
		i := slices.IndexFunc(before.Builds, func(o api.Build) bool { return o.Deployment == b.Deployment })
		if i < 0 || before.Builds[i].State != b.State || or(before.Builds[i].Note) != or(b.Note) {
			lines = append(lines, buildLine(b))
		}
	}
	for _, r := range now.Rolls {
		i := slices.IndexFunc(before.Rolls, func(o api.Roll) bool { return o.Id == r.Id })
		var old *api.Roll
		if i >= 0 {
			old = &before.Rolls[i]
		}
		lines = append(lines, rollChanges(old, r)...)
	}
	moved := place(*before) != place(now)
	if now.Ended {
		return lines
	}
	if moved || before.Reason != now.Reason && len(lines) == 0 {
		lines = append(lines, strings.TrimSuffix(place(now)+": "+now.Reason, ": "))
	}
	return lines
}

// rollChanges tells what has become of a roll: its servers, its verdict, its pause, its stage.
func rollChanges(before *api.Roll, now api.Roll) (lines []string) {
	site := now.Environment + " " + now.Pool + ": "
	say := func(format string, args ...any) { lines = append(lines, site+fmt.Sprintf(format, args...)) }
	if before == nil {
		before = &api.Roll{Batch: -1}
	}
	for _, t := range now.Targets {
		i := slices.IndexFunc(before.Targets, func(o api.Target) bool { return o.Server == t.Server })
		if i >= 0 && before.Targets[i].State == t.State {
			continue
		}
		switch t.State {
		case "settled":
			say("%s runs the new revision and is in rotation", t.Server)
		case "failed", "owed", "skipped", "left":
			say("%s %s%s", t.Server, t.State, because(or(t.Note)))
		}
	}
	if v := now.Verdict; v != nil && (before.Verdict == nil || verdictOf(*before.Verdict) != verdictOf(*v)) {
		say("%s", verdictOf(*v))
	}
	switch {
	case now.Pause != nil && (before.Pause == nil || before.Pause.Since != now.Pause.Since || before.Pause.Reason != now.Pause.Reason):
		say("PAUSED in %s (%s) by %s%s", stage(now), words(now.Pause.Cause), now.Pause.By, because(now.Pause.Reason))
	case now.Pause == nil && (before.Pause != nil || stage(*before) != stage(now)):
		say("%s%s", stage(now), because(now.Reason))
	}
	return lines
}

func buildLine(b api.Build) string {
	line := "build of " + b.App + " " + words(b.State)
	if b.Number != nil {
		line += fmt.Sprintf(", %s #%d", b.Job, *b.Number)
	}
	if b.Package != nil {
		line += ", package " + *b.Package
	}
	return line + because(or(b.Note))
}

// stage is where a roll is: "rolling, batch 2 of 4".
func stage(r api.Roll) string {
	if r.Stage == "rolling" && r.Batches > 0 {
		return fmt.Sprintf("rolling, batch %d of %d", r.Batch, r.Batches)
	}
	return words(r.Stage)
}

func verdictOf(v api.Verdict) string {
	return fmt.Sprintf("verdict %s%s", words(string(v.Outcome)), because(v.Reason))
}

// place is where a Coach is: "delivering PROD", "stopped in FAT".
func place(c api.Coach) string {
	where := words(c.State)
	environment := or(c.Environment)
	switch rop.State(c.State) {
	case rop.Delivering:
		where += " " + environment
	case rop.Stopped:
		if environment != "" {
			where += " in " + environment
		}
	}
	return where
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// titled is the commit's subject, quoted.
func titled(c api.Coach) string {
	if subject := or(c.Subject); subject != "" {
		return fmt.Sprintf(", %q", subject)
	}
	return ""
}

// words writes a state for people: "rolled_back" is "rolled back".
func words(state string) string { return strings.ReplaceAll(state, "_", " ") }
