// Command crashserve is "railyard serve" that kills itself, as kill -9 would, at a chosen saved transition of a roll, or of a
// Train. It is built and run by the end-to-end tests only.
//
//	CRASH_AT=7 CRASH_WHEN=after CRASH_OF=train crashserve --config FILE
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
	"railyard/pipeline"
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
	bomb := &bomb{fuse: fuse{at: at, before: os.Getenv("CRASH_WHEN") == "before"}}
	wraps := service.Wraps{Rolls: bomb.wrap}
	if os.Getenv("CRASH_OF") == "train" {
		wraps = service.Wraps{Trains: (&trainBomb{fuse: fuse{at: at, before: bomb.before}}).wrap}
	}
	if err := service.RunWith(ctx, cfg, logrus.New(), wraps); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fuse burns down with every save, and kills the process at the at-th: before it is written, or after it was and before anything it
// orders is done.
type fuse struct {
	at     int64
	before bool
	saves  atomic.Int64
}

func (f *fuse) around(save func() error) error {
	n := f.saves.Add(1)
	if n == f.at && f.before {
		die()
	}
	err := save()
	if n == f.at {
		die()
	}
	return err
}

// bomb counts the saves of rolls.
type bomb struct {
	roller.Store
	fuse
}

func (b *bomb) wrap(s roller.Store) roller.Store {
	b.Store = s
	return b
}

// SaveRoll counts.
func (b *bomb) SaveRoll(ctx context.Context, c roller.Claim, s roller.Save) error {
	return b.around(func() error { return b.Store.SaveRoll(ctx, c, s) })
}

// trainBomb counts the saves of Trains.
type trainBomb struct {
	pipeline.TrainStore
	fuse
}

func (b *trainBomb) wrap(s pipeline.TrainStore) pipeline.TrainStore {
	b.TrainStore = s
	return b
}

// SaveTrain counts.
func (b *trainBomb) SaveTrain(ctx context.Context, c pipeline.TrainClaim, s pipeline.TrainSave) error {
	return b.around(func() error { return b.TrainStore.SaveTrain(ctx, c, s) })
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing more may happen, not even in the moment before the signal arrives
}
