//go:build linux

package e2e

import (
	"os/user"
	"testing"
	"time"

	"railyard/internal/access"
	"railyard/internal/demo/apps"
	"railyard/internal/demo/yard"
)

// The cases share one yard, because each yard takes seconds to open: builds are tried on jobws, rolls on public-api, which
// has visitors, and approvals on hotel-api. The service and Jenkins are stopped and started again in some, so they follow
// each other.
func TestInOneYard(t *testing.T) {
	pusher, err := user.Current() // the hook names the user of the machine
	must(t, err)
	var replies replies
	y := openTown(t, yard.Options{
		Pools: []yard.Pool{
			{App: apps.JobWS, Kind: "job", Servers: map[string]int{"FAT": 1, "PROD": 1}},
			{App: apps.PublicAPI, Kind: "api", Traffic: true, Servers: map[string]int{"PROD": 4}, Watch: 3 * time.Second},
			{App: apps.HotelAPI, Kind: "job", Servers: map[string]int{"FAT": 1, "PROD": 1}, PeopleApprove: true},
		},
		Rate: 400,
		Speed: yard.Speed{
			Baking: 2 * time.Second, Pause: 500 * time.Millisecond, Watch: 500 * time.Millisecond,
			Doubt: 4 * time.Second, Step: 5 * time.Second,
		},
		People:            []yard.Person{{Name: pusher.Username, Role: access.ReleaseEngineer}, {Name: "li", Role: access.ReleaseEngineer}},
		JenkinsMiddleware: replies.middleware,
	})
	cases := []struct {
		rule string
		test func(t *testing.T, y *town)
	}{
		{"a second push supersedes the first while that is being built", supersede},
		{"a broken plan fails the Coach with its position and the next good push is released", brokenPlan},
		{"deliveries that come late, twice or out of order build nothing twice", deliveries},
		{"deliveries that are refused or not followed change nothing", refusedDeliveries},
		{"a push while Jenkins is away is shown, retried and built exactly once", jenkinsAway},
		{"a lost reply of the trigger is reconciled and built exactly once", lostReply(&replies)},
		{"a plan is passed by a person who is not its author", approval},
		{"a branch that is deleted while its plan waits withdraws the plan, and says so", branchDeleted},
		{"no verdict without its source: the roll pauses, and a server in maintenance is owed", prometheusAway},
		{"a build that is aborted in Jenkins brakes, Jenkins' button resumes, and an emergency takes production back", brakeAndEmergency},
		{"a released Coach is taken back, back to what ran before it, and what it brought is barred", releasedAndTakenBack},
		{"a server whose machine does not answer is left out and named, a crashed one comes back", brokenServers},
		{"a service that has released a lot and is idle is small", memory},
		{"SIGTERM in the middle of a roll gives it up at once and the next start goes on", serviceRestarted},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			began := time.Now()
			defer func() {
				t.Logf("took %s", time.Since(began).Round(100*time.Millisecond))
				if t.Failed() {
					y.tell(t)
				}
			}()
			c.test(t, y)
		})
	}
}
