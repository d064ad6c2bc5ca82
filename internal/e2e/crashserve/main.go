// Command crashserve is "railyard serve" that kills itself, as kill -9 would, at a chosen saved transition of a roll. It is
// built and run by the end-to-end tests only.
//
//	CRASH_AT=7 CRASH_WHEN=after crashserve --config FILE
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/sirupsen/logrus"

	"railyard/internal/roller"
	"railyard/internal/service"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) != 3 || os.Args[1] != "--config" {
		fmt.Fprintln(os.Stderr, "usage: crashserve --config FILE")
		return 2
	}
	at, err := strconv.ParseInt(os.Getenv("CRASH_AT"), 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, "CRASH_AT:", err)
		return 2
	}
	cfg, err := service.LoadConfig(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	bomb := &bomb{at: at, before: os.Getenv("CRASH_WHEN") == "before"}
	if err := service.RunWith(ctx, cfg, logrus.New(), bomb.wrap); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// bomb kills the process at the at-th save of a roll: before it is written, or after it was and before anything it orders is
// done.
type bomb struct {
	roller.Store
	at     int64
	before bool
	saves  atomic.Int64
}

func (b *bomb) wrap(s roller.Store) roller.Store {
	b.Store = s
	return b
}

// SaveRoll counts.
func (b *bomb) SaveRoll(ctx context.Context, c roller.Claim, s roller.Save) error {
	n := b.saves.Add(1)
	if n == b.at && b.before {
		die()
	}
	err := b.Store.SaveRoll(ctx, c, s)
	if n == b.at {
		die()
	}
	return err
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing more may happen, not even in the moment before the signal arrives
}
