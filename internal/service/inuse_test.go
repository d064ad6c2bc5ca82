package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/store"
)

func quietLog() *logrus.Logger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

func TestAStartWaitsAMomentForADatabaseFileThatIsStillInUse(t *testing.T) {
	inUse := fmt.Errorf("%w by process 17", store.ErrInUse)
	damaged := errors.New("it is damaged")
	cases := []struct {
		rule   string
		free   time.Duration // when it no longer is in use
		then   error
		err    error
		waited time.Duration
	}{
		{"a free file is opened at once", 0, nil, nil, 0},
		{"a file that is free soon is opened then", time.Second, nil, nil, time.Second},
		{"a file that stays in use is refused", time.Hour, nil, store.ErrInUse, inUsePatience},
		{"another error is not waited for", 0, damaged, damaged, 0},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := whenFree(t.Context(), quietLog(), func() (*store.Store, error) {
					if time.Since(began) < c.free {
						return nil, inUse
					}
					return nil, c.then
				})
				if !errors.Is(err, c.err) || time.Since(began) != c.waited {
					t.Errorf("%v after %s, expected %v after %s", err, time.Since(began), c.err, c.waited)
				}
			})
		})
	}
}

func TestAStartThatIsEndedDoesNotWaitForTheDatabaseFile(t *testing.T) {
	dsn := "sqlite:" + filepath.Join(t.TempDir(), "railyard.db")
	holder, err := store.Open(t.Context(), dsn, quietLog())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := holder.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	_, err = whenFree(ctx, quietLog(), func() (*store.Store, error) { return store.Open(t.Context(), dsn, quietLog()) })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, store.ErrInUse) || time.Since(began) >= inUsePatience {
		t.Errorf("%v after %s, expected the end at once, and what it waited for", err, time.Since(began))
	}
}
