package jenkinstest

import (
	"slices"
	"sync"
	"time"
)

// Clock is the time the stand-in lives in.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, d from now; stop prevents it and reports whether
	// it did.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

// ManualClock stands still until Advance is called. It is safe for concurrent use.
type ManualClock struct {
	mu    sync.Mutex
	now   time.Time
	alarm []*alarm
}

type alarm struct {
	at time.Time
	f  func()
}

// NewManualClock starts at the given time.
func NewManualClock(now time.Time) *ManualClock { return &ManualClock{now: now} }

// Now is the time it was last advanced to.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc arms f for d from now.
func (c *ManualClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{c.now.Add(d), f}
	c.alarm = append(c.alarm, a)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := len(c.alarm)
		c.alarm = slices.DeleteFunc(c.alarm, func(x *alarm) bool { return x == a })
		return len(c.alarm) < n
	}
}

// Advance moves the time on and calls what falls due on the way, in order, in
// the caller's goroutine.
func (c *ManualClock) Advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for {
		next := -1
		for i, a := range c.alarm {
			if !a.at.After(end) && (next < 0 || a.at.Before(c.alarm[next].at)) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		a := c.alarm[next]
		c.alarm = slices.Delete(c.alarm, next, next+1)
		if a.at.After(c.now) {
			c.now = a.at
		}
		c.mu.Unlock()
		a.f()
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
}
