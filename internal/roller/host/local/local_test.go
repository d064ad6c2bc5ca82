package local

import (
	"testing"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/roller/host/hosttest"
)

func TestMain(m *testing.M) {
	hosttest.Main(m, func(p *hosttest.Packages, _ string) (roller.Host, error) { return New(p), nil })
}

func start(t *testing.T, p *hosttest.Packages) hosttest.Fixture {
	return hosttest.Fixture{Host: New(p), Server: fleet.Server{Name: "hotel-1", Address: "127.0.0.1:1", Dir: t.TempDir() + "/srv one"}}
}

func TestTheLocalDriverIsAHost(t *testing.T) { hosttest.Run(t, start) }

func TestAFullDiskIsAnErrorAndLeavesTheOldRelease(t *testing.T) { hosttest.RunFullDisk(t, start) }

func TestTheLocalDriverHasSlots(t *testing.T) { hosttest.RunSlots(t, start) }
