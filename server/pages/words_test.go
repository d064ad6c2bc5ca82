package pages

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"time"

	"railyard/internal/ar"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/verdict"
	"railyard/pipeline"
	"railyard/server/api"
)

func TestEveryWordOfTheTemplatesHasItsMessage(t *testing.T) {
	key := regexp.MustCompile(`\{\{[^}]*\bt "([^"%]+)"`)
	found := 0
	err := fs.WalkDir(templates, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := templates.ReadFile(path)
		for _, m := range key.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, ok := messages[m[1]]; !ok {
				t.Errorf("%s uses %q, which has no message", path, m[1])
			}
		}
		return err
	})
	if err != nil || found < 30 {
		t.Fatalf("found %d words, %v", found, err)
	}
}

func TestEveryMessageIsSaidInEachLanguageWithTheSameBlanks(t *testing.T) {
	blank := regexp.MustCompile(`%[^% ]*[a-z]`)
	for key, m := range messages {
		if m.en == "" || m.zh == "" {
			t.Errorf("%s is not said in each language", key)
		}
		if en, zh := blank.FindAllString(strings.ReplaceAll(m.en, "%%", ""), -1), blank.FindAllString(strings.ReplaceAll(m.zh, "%%", ""), -1); strings.Join(en, " ") != strings.Join(zh, " ") {
			t.Errorf("%s has the blanks %v and %v", key, en, zh)
		}
	}
}

func TestEveryStateOfTheDomainHasItsWord(t *testing.T) {
	words := map[string][]string{
		"rotation": {string(api.In), string(api.Out), string(api.Down), string(api.Maintenance), string(api.Unknown)},
	}
	for _, s := range []rop.State{rop.Building, rop.Delivering, rop.AwaitingApproval, rop.Aboard, rop.Returning, rop.Released, rop.RolledBack, rop.Stopped,
		rop.Failed, rop.Superseded, rop.Revoked} {
		words["state"] = append(words["state"], string(s))
	}
	for _, s := range []rop.BuildState{rop.BuildWanted, rop.BuildTriggering, rop.BuildQueued, rop.BuildRunning, rop.BuildPublished, rop.BuildFailed} {
		words["build"] = append(words["build"], string(s))
	}
	for _, s := range []roller.Stage{roller.Queued, roller.Smoke, roller.Baking, roller.Rolling, roller.Watch, roller.RollingBack, roller.Done,
		roller.RolledBack, roller.Revoked} {
		words["roll"] = append(words["roll"], string(s))
	}
	for _, s := range []roller.TargetState{roller.Waiting, roller.Active, roller.Settled, roller.Failed, roller.Owed, roller.Skipped, roller.Left} {
		words["target"] = append(words["target"], string(s))
	}
	for _, s := range []roller.Step{roller.PullOut, roller.Switch, roller.Test, roller.Hold, roller.PullIn} {
		words["step"] = append(words["step"], string(s))
	}
	for _, s := range []roller.Cause{roller.CauseBrake, roller.CauseSoft, roller.CauseDoubt, roller.CauseBudget, roller.CauseProgress, roller.CauseFirst} {
		words["cause"] = append(words["cause"], string(s))
	}
	for _, s := range []verdict.Outcome{verdict.Pass, verdict.Pending, verdict.NoTraffic, verdict.NoData, verdict.SourceDown, verdict.Soft, verdict.Hard, verdict.Abstain, verdict.Warn} {
		words["outcome"] = append(words["outcome"], string(s))
	}
	for _, k := range []roller.DifferenceKind{roller.DriftOtherRevision, roller.DriftNothingRuns, roller.DriftUnreachable, roller.DriftPulledOut,
		roller.DriftWeight, roller.DriftDown, roller.DriftMaintenance, roller.DriftUnknownMember, roller.DriftNoBalancer} {
		words["drift"] = append(words["drift"], string(k))
	}
	for _, k := range []roller.Kind{roller.Release, roller.Rollback, roller.CatchUp} {
		words["kind"] = append(words["kind"], string(k))
	}
	for _, s := range []pipeline.TrainState{pipeline.TrainOpen, pipeline.TrainDelivering, pipeline.TrainArrived, pipeline.TrainReturned, pipeline.TrainStopped,
		pipeline.TrainCancelled} {
		words["train"] = append(words["train"], string(s))
	}
	for _, s := range []pipeline.RiderState{pipeline.RiderCoupled, pipeline.RiderReady, pipeline.RiderRiding, pipeline.RiderReturning, pipeline.RiderReleased,
		pipeline.RiderWentBack, pipeline.RiderStopped} {
		words["rider"] = append(words["rider"], string(s))
	}
	for _, p := range ar.Policies() {
		words["policy"] = append(words["policy"], string(p))
	}
	for kind, all := range words {
		for _, word := range all {
			if _, ok := messages[kind+"."+word]; !ok {
				t.Errorf("%s %q has no word", kind, word)
			}
		}
	}
}

func TestChoose(t *testing.T) {
	cases := []struct {
		rule, asked, accept string
		want                Lang
	}{
		{"what is asked for counts", "zh", "en", Chinese},
		{"else what the browser prefers", "", "zh-CN,zh;q=0.9,en;q=0.8", Chinese},
		{"the first we speak", "", "fr, en-GB;q=0.8, zh;q=0.7", English},
		{"a language we do not speak is passed over", "fr", "zh", Chinese},
		{"else English", "", "", English},
	}
	for _, c := range cases {
		if got := Choose(c.asked, c.accept); got != c.want {
			t.Errorf("%s: got %s, expected %s", c.rule, got, c.want)
		}
	}
}

func TestTrack(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	end := at.Add(90 * time.Second)
	stages := []api.Stage{{Name: "build", Start: at, End: &end}, {Name: "FAT", Start: end}}
	stopped := []api.Stage{stages[0], {Name: "FAT", Start: end, End: &end}}
	cases := []struct {
		rule  string
		coach api.Coach
		want  string
	}{
		{"what is done, what runs, what is ahead", api.Coach{Stages: stages}, "build done 1m 30s, FAT now 5s, approval ahead , UAT ahead , PROD ahead "},
		{"where a Coach failed", api.Coach{Stages: stopped, Ended: true, State: "stopped"}, "build done 1m 30s, FAT failed 0s, approval ahead , UAT ahead , PROD ahead "},
		{"a stage that is not on the way is added to it", api.Coach{Stages: []api.Stage{{Name: "return", Start: end}}},
			"build ahead , FAT ahead , approval ahead , UAT ahead , PROD ahead , return now 5s"},
	}
	for _, c := range cases {
		var got []string
		for _, s := range track(c.coach, []string{"FAT", "UAT", "PROD"}, end.Add(5*time.Second)) {
			got = append(got, s.Name+" "+s.State+" "+s.Took)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.rule, strings.Join(got, ", "), c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 851 * time.Millisecond: "850ms", 12340 * time.Millisecond: "12.3s", 185 * time.Second: "3m 5s", 130 * time.Minute: "2h 10m",
	} {
		if got := span(d); strings.TrimSpace(got) != want {
			t.Errorf("%s: got %q, expected %q", d, got, want)
		}
	}
}
