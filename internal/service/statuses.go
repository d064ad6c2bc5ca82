package service

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"railyard/internal/fleet"
	"railyard/internal/rop"
	"railyard/internal/scm/status"
	"railyard/pipeline"
)

// statuses is the pipeline's view of the code hosts that mark commits.
type statuses struct {
	hosts map[string]*status.Host // by the host in clone addresses: "git.example.com"
	pages string                  // where people see more: "https://railyard.example.com"
}

func newStatuses(configs []Statuses, pages string) (statuses, error) {
	all := statuses{hosts: map[string]*status.Host{}, pages: strings.TrimRight(pages, "/")}
	for _, c := range configs {
		token, err := c.Token.Resolve()
		if err != nil {
			return all, fmt.Errorf("commit statuses at %s: %w", c.Host, err)
		}
		host, err := status.New(status.Options{Kind: c.Kind, API: c.API, Token: token})
		if err != nil {
			return all, fmt.Errorf("statuses of host %s: %w", c.Host, err)
		}
		all.hosts[strings.ToLower(c.Host)] = host
	}
	return all, nil
}

// Marks implements pipeline.Statuses.
func (s statuses) Marks(r fleet.Repository) bool { return s.hosts[cloneHost(r.Clone)] != nil }

// Mark implements pipeline.Statuses.
func (s statuses) Mark(ctx context.Context, r fleet.Repository, c rop.Coach, mark pipeline.CommitStatus) error {
	host := s.hosts[cloneHost(r.Clone)]
	if host == nil {
		return fmt.Errorf("mark commit of %s: its code host is not configured in this service: %w", r.Name, pipeline.ErrRefused)
	}
	err := host.Set(ctx, r.Name, c.Commit, status.Status{
		Context: "railyard/" + c.Project, State: status.State(mark.State), Description: mark.Description,
		URL: s.pages + "/coaches/" + url.PathEscape(c.ID),
	})
	if errors.Is(err, status.ErrRefused) {
		return fmt.Errorf("%w: %w", pipeline.ErrRefused, err)
	}
	return err
}

// cloneHost is the host, with its port if there is one, of "https://git.example.com/a/b.git" and "git@git.example.com:a/b.git".
func cloneHost(clone string) string {
	if u, err := url.Parse(clone); err == nil && u.Host != "" {
		return strings.ToLower(u.Host)
	}
	host, _, ok := strings.Cut(clone, ":")
	if _, after, found := strings.Cut(host, "@"); found {
		host = after
	}
	if !ok || strings.Contains(host, "/") {
		return ""
	}
	return strings.ToLower(host)
}
