//go:build linux

// Package story tells, in a yard on this machine, what Railyard is for: a good push that reaches production without a
// visitor noticing, a bad one that is caught in baking and comes back by itself, one that never leaves FAT, and a Train that comes
// back in order.
package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/yard"
)

// Options of the demo.
type Options struct {
	Once   bool   // end after the story instead of staying up
	Report string // file for the table as JSON; "" = none
	Out    io.Writer
}

// ErrUnexpected means that a push did not end as it should.
var ErrUnexpected = errors.New("a push did not end as it should")

// chapter is one push of the story.
type chapter struct {
	name    string // "good"
	says    string // what is about to happen, for people
	app     string
	options apps.Options
	verdict string // how it should end
	first   bool   // a first release: visitors had nothing to reach before it
}

func chapters() []chapter {
	return []chapter{
		{
			name: "good", app: apps.HotelAPI, options: apps.Options{Version: "1.1.0"}, verdict: "released",
			says: "A good push. hotel-api 1.1.0 should reach every server of production without one visitor noticing.",
		},
		{
			name: "bad", app: apps.HotelAPI, options: apps.Options{Version: "1.2.0", ErrorPercent: 5}, verdict: "rolled_back",
			says: "A bad push. hotel-api 1.2.0 answers one visitor in twenty with an error; health checks and smoke tests see nothing.\n" +
				"  The monitor should catch it while it bakes on one server, and the Roller take it back by itself.",
		},
		{
			name: "broken", app: apps.HotelApp, options: apps.Options{Version: "1.1.0", BreakContract: true}, verdict: "stopped_in_fat",
			says: "A broken push. hotel-app 1.1.0 breaks its contract. The functional checks in FAT should stop it; UAT never sees it.",
		},
	}
}

// Run opens the yard, tells the story, and stays until ctx ends unless it is told only once. It returns ErrUnexpected when
// a push did not end as it should.
func Run(ctx context.Context, o Options) (err error) {
	teller := &teller{out: o.Out, started: time.Now()}
	dir, err := os.MkdirTemp("", "ry")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	teller.say("Opening the yard: servers, HAProxy, Prometheus, git, Jenkins, visitors and Railyard, on free ports of this machine.")
	starting, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("the yard took more than two minutes to open"))
	defer cancel()
	y, err := yard.Start(starting, yard.Options{
		Dir: dir, Railyard: self, Pools: yard.Talk(), Rate: 450,
		Speed: yard.Speed{Baking: 12 * time.Second, Pause: 4 * time.Second, Watch: 4 * time.Second},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, y.Close()) }()
	teller.yard = y
	teller.introduce()
	report, err := teller.tell(ctx)
	if err != nil {
		return err
	}
	report.print(o.Out)
	if o.Report != "" {
		if err := report.write(o.Report); err != nil {
			return err
		}
	}
	if !o.Once {
		teller.stay(ctx)
	}
	return report.verdict()
}

// tell pushes the first releases and then the story's three, and lets the Train travel.
func (t *teller) tell(ctx context.Context) (Report, error) {
	report := Report{Setup: []Push{}}
	t.say("")
	t.say("First releases: version 1.0.0 of all applications is pushed, built, and goes through FAT and UAT into production.")
	var first []chapter
	for _, app := range apps.Names() {
		first = append(first, chapter{name: "first " + app, app: app, options: apps.Options{Version: "1.0.0"}, verdict: "released", first: true})
	}
	pushes, err := t.pushInTurn(ctx, first)
	report.Setup = pushes
	if err != nil {
		return report, err
	}
	for i, c := range chapters() {
		t.say("")
		t.say(fmt.Sprintf("%d. %s", i+1, c.says))
		push, err := t.push(ctx, c)
		if err != nil {
			return report, err
		}
		report.Pushes = append(report.Pushes, push)
	}
	if report.Train, err = t.travel(ctx); err != nil {
		return report, err
	}
	report.Queued = queueTimes(append(report.Setup, report.Pushes...))
	return report, nil
}

// stay keeps the yard open for the user's own pushes.
func (t *teller) stay(ctx context.Context) {
	t.say("")
	t.say("The yard stays open. Look at it:     " + t.yard.URL + "/")
	t.say("Push a change of your own:")
	t.say("  git clone -b release/1.0 " + t.yard.Git.CloneURL(yard.Repository(apps.PublicAPI)) + " && cd public-api")
	t.say("  …edit app.go, raise VERSION and the version in .railyard/rop.yaml…  &&  git commit -am 'my change' && git push")
	t.say("Ctrl-C closes everything.")
	t.follow(ctx)
}
