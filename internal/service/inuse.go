package service

import (
	"context"
	"errors"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/store"
)

// inUsePatience is how long a start waits for a database file that another process has open. A process that was just killed
// may hold it a moment longer: a command it was about to start has its files until it runs.
const (
	inUsePatience = 5 * time.Second
	inUseAgain    = 50 * time.Millisecond
)

// whenFree opens the store, again and again while its file is in use. After inUsePatience that is an error: a second
// service on one file is a mistake. errors.Is: store.ErrInUse.
func whenFree(ctx context.Context, log logrus.FieldLogger, open func() (*store.Store, error)) (*store.Store, error) {
	limit := time.NewTimer(inUsePatience)
	defer limit.Stop()
	again := time.NewTicker(inUseAgain)
	defer again.Stop()
	told := false
	for {
		s, err := open()
		if !errors.Is(err, store.ErrInUse) {
			return s, err
		}
		if !told {
			log.WithError(err).Infof("waiting up to %s for the database file", inUsePatience)
			told = true
		}
		select {
		case <-again.C:
		case <-limit.C:
			return nil, err
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}
