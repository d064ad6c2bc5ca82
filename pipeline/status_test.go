package pipeline

import (
	"strings"
	"testing"
	"time"

	"railyard/internal/roller"
	"railyard/internal/rop"
)

// markedYard is a yard whose code host shows marks.
func markedYard(t *testing.T) *yard {
	y := newYard(t)
	y.coach.Commit = "8ca5f638c3b1d0e2f4a5968778695a4b3c2d1e0f"
	y.obs.Marks = true
	return y
}

// host lets the code host take every mark, and returns what it was told.
func (y *yard) host() (marks []string) {
	for _, a := range y.acts {
		if a.Kind == ActMark && (len(marks) == 0 || marks[len(marks)-1] != a.Status.text()) {
			marks = append(marks, a.Status.text())
			y.obs.Marked = &Telling{At: y.now, Text: a.Status.text()}
		}
	}
	return marks
}

func TestTheCommitIsMarkedWithWhereItsCoachIsAndAtTheEndWhy(t *testing.T) {
	y := markedYard(t)
	var told []string
	hear := func() { told = append(told, y.host()...); y.jenkins() }
	y.step()
	hear()
	y.publish()
	hear()
	for range 6 {
		y.end(roller.Done)
		hear()
	}
	want := []string{
		"pending building", "pending delivering FAT", "pending delivering UAT", "pending delivering PROD",
		"success released PROD: released: PROD runs it",
	}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

func TestARollbackIsMarkedWithItsReason(t *testing.T) {
	c := rop.Coach{State: rop.RolledBack, Environment: "PROD", Reason: "hard breach: 5xx 4.8 % on s3"}
	if got := StatusOf(c); got.State != MarkFailure || got.Description != "rolled_back PROD: hard breach: 5xx 4.8 % on s3" {
		t.Errorf("%+v", got)
	}
}

func TestACoachIsNotClosedBeforeItsCodeHostHeard(t *testing.T) {
	for _, c := range []struct {
		rule   string
		told   func(y *yard, want string) *Telling
		closed bool
	}{
		{"a host that heard", func(y *yard, want string) *Telling { return &Telling{At: y.now, Text: want} }, true},
		{"a host that was never told, as after a crash", func(*yard, string) *Telling { return nil }, false},
		{"a host that heard something older", func(y *yard, _ string) *Telling { return &Telling{At: y.now, Text: "pending building"} }, false},
		{"a host that is away", func(y *yard, want string) *Telling { return &Telling{At: y.now, Text: want, Err: "503"} }, false},
		{"a host that refuses, which waiting does not help", func(y *yard, want string) *Telling {
			return &Telling{At: y.now, Text: want, Err: "404", Refused: true}
		}, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			y := markedYard(t)
			y.coach.Builds = nil
			y.coach.State, y.coach.Environment, y.coach.Reason = rop.Stopped, "FAT", "it did not start"
			y.coach.Stages[0].End = y.now
			y.obs.Marked = c.told(y, StatusOf(y.coach).text())
			d := y.step()
			if d.Coach.Closed != c.closed {
				t.Errorf("closed %v, want %v", d.Coach.Closed, c.closed)
			}
		})
	}
	t.Run("a host that stays away is given up after an hour", func(t *testing.T) {
		y := markedYard(t)
		y.coach.Builds = nil
		y.coach.State, y.coach.Stages[0].End = rop.Stopped, y.now
		y.obs.Marked = &Telling{At: y.now, Text: StatusOf(y.coach).text(), Err: "503"}
		y.now = y.now.Add(giveUpTelling + time.Second)
		if !y.step().Coach.Closed {
			t.Error("it waits for ever")
		}
	})
}

func TestWithoutAConfiguredHostNothingIsMarked(t *testing.T) {
	y := markedYard(t)
	y.obs.Marks = false
	y.publish()
	if marks := y.host(); len(marks) > 0 {
		t.Errorf("marked %q", marks)
	}
}
