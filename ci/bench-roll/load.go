package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"railyard/internal/demo/child"
)

// load is the visitors: 16 connections that ask as fast as they are answered.
type load struct {
	wrk *child.Process
	log string
}

// around is how long visitors come before a roll begins and after it has ended.
const around = time.Second

func (y *yard) visit(ctx context.Context, log string) (*load, error) {
	wrk, err := start(log, "wrk", "-t1", "-c16", "-d1h", "--timeout", "5s", "http://"+y.front+"/")
	if err != nil {
		return nil, err
	}
	return &load{wrk, log}, pause(ctx, around)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave ends the load and counts what it had asked.
func (l *load) leave(ctx context.Context) (requests, failed int, err error) {
	if err := pause(ctx, around); err != nil {
		return 0, 0, err
	}
	if err := l.wrk.Signal(syscall.SIGINT); err != nil { // which is how wrk is told to print its figures
		return 0, 0, err
	}
	select {
	case <-l.wrk.Done():
	case <-time.After(10 * time.Second):
		return 0, 0, fmt.Errorf("wrk does not end")
	}
	said, err := os.ReadFile(l.log)
	if err != nil {
		return 0, 0, err
	}
	return count(string(said))
}

var (
	requestsLine = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	statusLine   = regexp.MustCompile(`(?m)^\s*Non-2xx or 3xx responses: (\d+)$`)
	socketLine   = regexp.MustCompile(`(?m)^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$`)
)

// count reads wrk's summary. wrk names failures only when there are some: answers that are no success, and connections
// that broke or took longer than 5 s.
func count(said string) (requests, failed int, err error) {
	m := requestsLine.FindStringSubmatch(said)
	if m == nil {
		return 0, 0, fmt.Errorf("wrk counted no requests: %s", said)
	}
	if requests, err = strconv.Atoi(m[1]); err != nil {
		return 0, 0, err
	}
	for _, line := range []*regexp.Regexp{statusLine, socketLine} {
		if m := line.FindStringSubmatch(said); m != nil {
			for _, digits := range m[1:] {
				n, err := strconv.Atoi(digits)
				if err != nil {
					return 0, 0, err
				}
				failed += n
			}
		}
	}
	return requests, failed, nil
}

func (l *load) kill() { _ = l.wrk.Signal(syscall.SIGKILL) }
