// Package hosttest is the contract of roller.Host as a test suite: a driver is right when Run passes over a real machine.
//
// The machine's directory is on this file system, so that the suite can look at it and break it. Its layout is that of
// package deploy. Two apps, "api" and "web", are restarted by a shell command that keeps a log, and that the suite can
// hold (with a FIFO named gate) or break (with a file named broken).
package hosttest

import (
	"testing"

	"railyard/internal/fleet"
	"railyard/internal/roller"
)

// Fixture is one machine and the driver that reaches it.
type Fixture struct {
	Host   roller.Host
	Server fleet.Server // its Dir is empty or missing
	// Extra is handed to the process that Main runs, for what its host needs beside the machine and the packages.
	Extra string
}

// restartCommand is that of both apps.
const restartCommand = `cd '{{.Dir}}' && echo begin >>log
if [ -e broken ]; then echo "port 8080 is taken" >&2; exit 3; fi
if [ -p gate ]; then read -r line <gate; fi
echo "restarted $(readlink current) of {{.App}} on {{.Server}}" >>log`

// RunFullDisk checks that a full disk is an error which leaves the old release running. The fixture's driver must reach
// its machine by starting processes, since the disk is seen by their namespace only.
func RunFullDisk(t *testing.T, start func(t *testing.T, p *Packages) Fixture) {
	p := NewPackages(t)
	fullDisk(t, newMachine(t, start(t, p), p))
}

// Run runs the suite; start makes a machine for each rule, whose driver finds its packages in p, and ends it with the
// test. The test binary must call Main in its TestMain.
func Run(t *testing.T, start func(t *testing.T, p *Packages) Fixture) {
	rules := []struct {
		name string
		test func(t *testing.T, m *machine)
	}{
		{"nothing is known to run on an untouched machine", untouched},
		{"a switch unpacks package and configuration, links and restarts every app once", first},
		{"a repeated switch restarts nothing and fetches nothing", repeated},
		{"only the app that changed is restarted", onlyChanged},
		{"going back fetches nothing", goingBack},
		{"a reader of current always finds a whole release", atomicLink},
		{"a switch survives the death of its caller, and the next one restarts nothing again", cutOff},
		{"two switches at once restart each app once", twoAtOnce},
		{"two different switches at once end on one of the two", twoDifferent},
		{"an app without a right marker is unknown, and restarted", unknownMarker},
		{"a link that somebody moved makes the app unknown, and is put back", movedLink},
		{"the last releases are kept, the current and the previous always", prune},
		{"bytes of another digest are refused for good, and no machine sees them", wrongDigest},
		{"an archive that leaves its directory is refused for good, and no machine sees it", escapes},
		{"a package that does not exist is refused for good", missingPackage},
		{"an app that the server does not host is refused for good", foreignApp},
		{"a restart that fails names server, app and step, and is tried again", restartFails},
		{"a restart that hangs ends with the caller's time, and frees the machine", restartHangs},
		{"a process that a restart leaves behind holds up nothing", daemon},
		{"an upload that went bad on the machine is replaced", damagedUpload},
		{"a release that was not unpacked to its end is not trusted", halfRelease},
		{"a caller that gave up gets an error", cancelled},
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			p := NewPackages(t)
			r.test(t, newMachine(t, start(t, p), p))
		})
	}
}
