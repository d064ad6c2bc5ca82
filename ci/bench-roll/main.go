// Command bench-roll measures what Railyard adds to a roll: a pool of 12 servers behind HAProxy, three at a time, under a
// constant load of 16 connections. Three contenders take the same steps on the same servers, in turn:
//
//	railyard  the runner with its drivers for HAProxy and ssh, the smoke tester and a SQLite database
//	floor     the steps with nothing in between: nobody can be faster with the same patience
//	ansible   a playbook
//
// The steps on a server: pull out by weight 0, wait until its sessions ended, switch the link and restart over a warm ssh
// connection, smoke-test, pull in, wait until HAProxy calls it UP. A batch begins when the one before is UP. The packages are
// in place; there is no smoke stage, no baking and no pause.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// contender rolls the yard from the old release to the new one.
type contender interface {
	name() string
	// ready is called before each roll, and not measured.
	ready(ctx context.Context) error
	// roll returns how long it took.
	roll(ctx context.Context) (time.Duration, error)
	close() error
}

type options struct {
	runs, ansible  int
	timeline, keep bool
}

func main() {
	var o options
	flag.IntVar(&o.runs, "runs", 5, "rolls by Railyard and by the floor")
	flag.IntVar(&o.ansible, "ansible", 2, "rolls by Ansible, each of which takes most of a minute")
	flag.BoolVar(&o.timeline, "timeline", false, "print the events of Railyard's rolls")
	flag.BoolVar(&o.keep, "keep", false, "keep the directory with configurations and logs, and print its name")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-roll:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	root, err := os.MkdirTemp("", "bench-roll-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Println("directory:", root)
	} else {
		defer os.RemoveAll(root)
	}
	y, err := build(ctx, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, y.close()) }()
	fmt.Printf("%d servers, %d at a time; %d processors, load average %s\n", servers, batch, runtime.NumCPU(), loadAverage())

	contenders, err := enter(y, o)
	for _, c := range contenders {
		defer c.close()
	}
	if err != nil {
		return err
	}
	var r report
	for round := range max(o.runs, o.ansible) {
		for _, c := range contenders {
			if _, slow := c.(*ansible); (slow && round >= o.ansible) || (!slow && round >= o.runs) {
				continue
			}
			one, err := y.measure(ctx, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name(), err)
			}
			fmt.Println(one)
			r.add(one)
		}
	}
	fmt.Printf("\nload average %s\n%s", loadAverage(), r)
	return nil
}

func enter(y *yard, o options) (contenders []contender, err error) {
	r, err := newRailyard(y, o.timeline)
	if err != nil {
		return nil, err
	}
	contenders = append(contenders, r, &floor{yard: y})
	if o.ansible == 0 {
		return contenders, nil
	}
	a, err := newAnsible(y)
	return append(contenders, a), err
}

// measure takes one roll from a yard on the old release to one on the new.
func (y *yard) measure(ctx context.Context, c contender) (m measurement, err error) {
	if err := y.reset(ctx); err != nil {
		return m, err
	}
	if err := c.ready(ctx); err != nil {
		return m, err
	}
	l, err := y.visit(ctx, y.path("wrk.log"))
	if err != nil {
		return m, err
	}
	defer l.kill()
	m.name = c.name()
	if m.took, err = c.roll(ctx); err != nil {
		return m, err
	}
	if err := y.all(ctx, newRelease.Version); err != nil {
		return m, fmt.Errorf("it says that it is done, but %w", err)
	}
	m.requests, m.failed, err = l.leave(ctx)
	return m, err
}

// loadAverage is that of the last minute: figures from a busy machine say little.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
