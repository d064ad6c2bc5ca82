//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/yard"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server/api"
)

// nothingIsHeld checks, while no service runs, that another could take the Coach and the roll at once.
func (y *town) nothingIsHeld(t *testing.T, coach, roll string) {
	t.Helper()
	s := openDatabase(t, y.Dir)
	defer func() { must(t, s.Close()) }()
	now := time.Now().UTC()
	rolls, err := s.ClaimRolls(t.Context(), "another", now, time.Second)
	must(t, err)
	if !slices.ContainsFunc(rolls, func(c roller.Claim) bool { return c.Roll.ID == roll }) {
		t.Errorf("the lease on roll %s was not given up", roll)
	}
	for _, c := range rolls {
		must(t, s.ReleaseRoll(t.Context(), c))
	}
	coaches, err := s.ClaimCoaches(t.Context(), "another", now, time.Second)
	must(t, err)
	if !slices.ContainsFunc(coaches, func(c pipeline.Claim) bool { return c.Coach.ID == coach }) {
		t.Errorf("the lease on Coach %s was not given up", coach)
	}
	for _, c := range coaches {
		must(t, s.ReleaseCoach(t.Context(), c))
	}
}

// openDatabase opens the database of a service that has ended. A command that it was about to start then holds the file until it
// runs.
func openDatabase(t *testing.T, dir string) (s *store.Store) {
	t.Helper()
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	eventually(t, "the database file", func() (string, bool) {
		var err error
		if s, err = store.Open(t.Context(), "sqlite:"+filepath.Join(dir, "railyard.db"), quiet); errors.Is(err, store.ErrInUse) {
			return err.Error(), false
		}
		must(t, err)
		return "", true
	})
	return s
}

func approval(t *testing.T, y *town) {
	c := y.deliver(t, apps.HotelAPI, change{})
	waits := func(c api.Coach) bool { return c.State == "awaiting_approval" }
	c = y.until(t, c.Id, "the wait for approval", waits)
	if len(c.Rolls) != 1 || c.Rolls[0].Environment != "FAT" || c.Rolls[0].Stage != "done" {
		t.Errorf("%s waits after %+v, expected after FAT", c.Id, c.Rolls)
	}
	out, code := y.run(t, c.Author, "rop", "approve", c.Id, "--reason", "it is mine")
	if code != 1 || !strings.Contains(out, c.Author+" pushed it") {
		t.Errorf("approval by the author: exit code %d, %s; expected 1, and why", code, out)
	}
	if c = y.coach(t, c.Id); !waits(c) {
		t.Fatalf("%s is %s after its author's approval, expected that it waits", c.Id, c.State)
	}
	must(t, y.Jenkins.Crash()) // while the build waits for what follows
	must(t, y.StartJenkins())
	if out, code := y.run(t, "li", "rop", "approve", c.Id, "--reason", "read and tried"); code != 0 {
		t.Fatalf("approval by a release engineer: exit code %d: %s", code, out)
	}
	c = y.ends(t, c.Id, "released")
	if c.Approval == nil || c.Approval.Actor != "person:li" || c.Approval.Reason != "read and tried" {
		t.Errorf("the approval is %+v, expected that of person:li with the reason", c.Approval)
	}
	told := map[string]string{}
	for _, e := range y.events(t, "coach/"+c.Id) {
		told[e.What] += e.Actor + ": " + e.Why
	}
	for _, what := range []string{"approval_given", "plan_passed"} {
		if told[what] != "person:li: read and tried" {
			t.Errorf("%s in the log is %q, expected once, by person:li, with the reason", what, told[what])
		}
	}
	if b := y.buildEnds(t, c); b.Result != "SUCCESS" {
		t.Errorf("the build that Jenkins' crash met while it waited ended %s, expected SUCCESS", b.Result)
	}
}

func branchDeleted(t *testing.T, y *town) {
	const gone = "release/0.9"
	c := y.deliver(t, apps.HotelAPI, change{branch: gone})
	y.until(t, c.Id, "the wait for approval", func(c api.Coach) bool { return c.State == "awaiting_approval" })
	must(t, y.Git.DeleteBranch(t.Context(), yard.Repository(apps.HotelAPI), gone, "developer"))
	c = y.ends(t, c.Id, "revoked")
	if c.Plan == nil || c.Plan.State != api.Withdrawn || !strings.Contains(c.Plan.Reason, "branch release/0.9 of "+yard.Repository(apps.HotelAPI)+" was deleted") {
		t.Errorf("the plan is %+v, expected withdrawn because its branch was deleted", c.Plan)
	}
	if out, code := y.run(t, "li", "rop", "list", "--state", "withdrawn"); code != 0 || !strings.Contains(out, c.Id) {
		t.Errorf("withdrawn plans: exit code %d, %s", code, out)
	}
}

const mib = 1 << 20

// idleMemory is the bound on what the service holds resident while nothing happens.
const idleMemory = 60 * mib

func memory(t *testing.T, y *town) {
	ctx := t.Context()
	active := true
	answer, err := y.API.ListCoachesWithResponse(ctx, &api.ListCoachesParams{Active: &active})
	must(t, err)
	if answer.JSON200 == nil || len(*answer.JSON200) > 0 {
		t.Fatalf("the service is not idle: %s", answer.Body)
	}
	y.visits(t, 1200) // three seconds of the visitors'
	total, anonymous := resident(t, y.Process().PID())
	t.Logf("railyard serve holds %.1f MiB resident when idle, %.1f of them its own and the rest the program's file", mibs(total), mibs(anonymous))
	if total > idleMemory {
		t.Errorf("railyard serve holds %.1f MiB resident when idle, expected at most %.0f", mibs(total), mibs(idleMemory))
	}
}

func mibs(bytes int64) float64 { return float64(bytes) / mib }

// resident is how many bytes of a process are in memory, and how many of them are no file's.
func resident(t *testing.T, pid int) (total, anonymous int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	into := map[string]*int64{"VmRSS:": &total, "RssAnon:": &anonymous}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && into[fields[0]] != nil {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			must(t, err)
			*into[fields[0]] = kib << 10
		}
	}
	if total == 0 || anonymous == 0 {
		t.Fatalf("process %d does not tell its memory: %s", pid, text)
	}
	return total, anonymous
}
