// Package exec lets a user's program be the driver of machines that Railyard cannot reach by itself: containers, another
// deployment tool. The program is described in docs/drivers.md; the contract is that of roller.Host, and package hosttest
// can be run over it.
package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"railyard/internal/roller"
	"railyard/internal/roller/host/deploy"
	"railyard/internal/script"
)

// Host runs the program for each question. It is safe for concurrent use if the program is.
type Host struct {
	program  string
	packages deploy.Packages
	checker  *deploy.Checker
}

// New returns the driver that runs a program, by its absolute path, and finds packages in p.
func New(program string, p deploy.Packages) (*Host, error) {
	if !filepath.IsAbs(program) {
		return nil, fmt.Errorf("read host program %q: expected an absolute path", program)
	}
	return &Host{program: program, packages: p, checker: deploy.NewChecker(p)}, nil
}

// request is what the program is asked.
type request struct {
	Do       string            `json:"do"`      // "observe" or "switch"
	Seconds  float64           `json:"seconds"` // it should answer within
	Machine  machine           `json:"machine"`
	Revision *revision         `json:"revision,omitempty"` // of a switch
	Files    map[string]string `json:"files,omitempty"`    // digest → path of what it said it needs
}

type machine struct {
	Environment string `json:"environment"` // "PROD"
	Pool        string `json:"pool"`        // "hotel"
	Server      string `json:"server"`      // "hotel-1"
	Address     string `json:"address"`     // "10.0.0.7:8080"
	Dir         string `json:"dir"`         // "/srv/railyard"
	Apps        []app  `json:"apps"`
}

type app struct {
	Name    string `json:"name"`    // "hotel-api"
	Restart string `json:"restart"` // as in the topology, not filled in
	Port    int    `json:"port"`
	Keep    int    `json:"keep"`
}

type revision struct {
	ID   string    `json:"id"`
	Apps []release `json:"apps"`
}

// release is what a program has to know of a roller.AppRelease, field by field: what is added there later is not its affair.
type release struct {
	App     string `json:"app"`
	Package string `json:"package"`
	Config  string `json:"config"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Name    string `json:"name"` // what "running" must say of it
}

// Observe asks the program what runs.
func (h *Host) Observe(ctx context.Context, m roller.Machine) (roller.HostState, error) {
	var answer struct {
		Running map[string]string `json:"running"`
	}
	err := h.ask(ctx, request{Do: "observe", Machine: describe(m)}, &answer)
	if err == nil && answer.Running == nil {
		err = fmt.Errorf("%s answered without running", h.program)
	}
	if err != nil {
		return roller.HostState{}, fmt.Errorf("observe server %s: %w", m.Server.Name, err)
	}
	return roller.HostState{Running: answer.Running}, nil
}

// switched is the program's answer to a switch: it is done, or it needs files first.
type switched struct {
	Done bool     `json:"done"`
	Need []string `json:"need"` // digests
}

// Switch has the program switch, and hands it the archives it asks for, checked, as files that go when it has ended.
func (h *Host) Switch(ctx context.Context, m roller.Machine, r roller.Revision) error {
	if err := h.doSwitch(ctx, m, r); err != nil {
		return fmt.Errorf("switch server %s to revision %s: %w", m.Server.Name, r.ID, err)
	}
	return nil
}

func (h *Host) doSwitch(ctx context.Context, m roller.Machine, r roller.Revision) error {
	order := request{Do: "switch", Machine: describe(m), Revision: describeRevision(r)}
	var answer switched
	if err := h.ask(ctx, order, &answer); err != nil {
		return err
	}
	if len(answer.Need) > 0 {
		dir, err := os.MkdirTemp("", "railyard-exec-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if order.Files, err = h.files(ctx, r, answer.Need, dir); err != nil {
			return err
		}
		answer = switched{}
		if err := h.ask(ctx, order, &answer); err != nil {
			return err
		}
	}
	if !answer.Done || len(answer.Need) > 0 {
		return fmt.Errorf("%s answered neither done nor what it needs and was not given: %+v; it has %v", h.program, answer,
			slices.Sorted(maps.Keys(order.Files)))
	}
	return nil
}

// files writes the archives into dir. Only those of the revision may be asked for.
func (h *Host) files(ctx context.Context, r roller.Revision, digests []string, dir string) (map[string]string, error) {
	files := map[string]string{}
	slices.Sort(digests)
	for _, digest := range slices.Compact(digests) {
		i := slices.IndexFunc(r.Apps, func(a roller.AppRelease) bool { return digest != "" && (a.Package == digest || a.Config == digest) })
		if i < 0 {
			return nil, fmt.Errorf("%s needs %q, which is no package of this revision: %w", h.program, digest, roller.ErrPermanent)
		}
		path := filepath.Join(dir, strings.TrimPrefix(digest, "sha256:"))
		if err := h.file(ctx, digest, path); err != nil {
			return nil, fmt.Errorf("fetch %s: %w", r.Apps[i].App, err)
		}
		files[digest] = path
	}
	return files, nil
}

func (h *Host) file(ctx context.Context, digest, path string) error {
	if err := h.checker.Check(ctx, digest); err != nil {
		return err
	}
	content, _, err := h.packages.Open(ctx, digest)
	if err != nil {
		return deploy.Hopeless(err)
	}
	defer content.Close()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// ask runs the program and gives its failures their kind.
func (h *Host) ask(ctx context.Context, r request, answer any) error {
	r.Seconds = deploy.TimeLeft(ctx).Seconds()
	err := script.Run(ctx, h.program, r, answer)
	var failed *script.Error
	if errors.As(err, &failed) {
		switch failed.Code {
		case script.CodePermanent:
			return fmt.Errorf("%w: %w", err, roller.ErrPermanent)
		case script.CodeUnreachable:
			return fmt.Errorf("%w: %w", err, roller.ErrUnreachable)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", err, roller.ErrUnreachable)
	}
	return err
}

func describe(m roller.Machine) machine {
	d := machine{
		Environment: m.Site.Environment, Pool: m.Site.Pool,
		Server: m.Server.Name, Address: m.Server.Address, Dir: m.Server.Dir, Apps: []app{},
	}
	for _, a := range m.Apps {
		d.Apps = append(d.Apps, app{Name: a.Name, Restart: a.Restart, Port: a.Port, Keep: a.Keep})
	}
	return d
}

func describeRevision(r roller.Revision) *revision {
	d := &revision{ID: r.ID, Apps: []release{}}
	for _, a := range r.Apps {
		d.Apps = append(d.Apps, release{App: a.App, Package: a.Package, Config: a.Config, Version: a.Version, Commit: a.Commit, Name: a.Name()})
	}
	return d
}
