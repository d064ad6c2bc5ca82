package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/migration"
	"railyard/internal/packages"
	"railyard/internal/rop"
)

// shownFindings bounds how many statements one refusal lists.
const shownFindings = 10

// checkMigration reads the SQL of a database package and refuses it when a statement may lose something that the plan does not name.
// It returns the event that tells what was read; nil for a package of another kind.
func (s *Server) checkMigration(ctx context.Context, coach rop.Coach, deployment, name, digest string, at time.Time) ([]event.Event, error) {
	t := s.Topology()
	if t == nil {
		return nil, nil
	}
	if app, _ := t.App(name); app.Kind != fleet.KindDatabase {
		return nil, nil
	}
	content, _, err := s.Packages.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	read, err := migration.ReadPackage(content)
	if err != nil {
		return nil, fmt.Errorf("%w: body: %w", errInvalid, err)
	}
	plan, _ := coach.Plan.Migration(name)
	if unnamed := migration.Unnamed(read.Findings, plan.Destructive); len(unnamed) > 0 {
		return nil, fmt.Errorf("%w: body: %s may lose data or break what runs now:\n%s", errInvalid, name, refusedStatements(name, unnamed))
	}
	why := "read " + strings.Join(read.Files, ", ")
	for _, f := range read.Findings {
		why += "; let through because the plan names it: " + f.String()
	}
	return []event.Event{{At: at, Actor: event.Railyard, Object: "deployment/" + deployment, Coach: coach.ID, What: "migration_checked", To: digest, Why: why}}, nil
}

func refusedStatements(app string, found []migration.Finding) string {
	var lines, names []string
	for i, f := range found {
		if i == shownFindings {
			lines = append(lines, fmt.Sprintf("… and %d more", len(found)-shownFindings))
			break
		}
		lines = append(lines, f.String())
		names = append(names, fmt.Sprintf("%q", f.Name))
	}
	return fmt.Sprintf("%s\ntake it out, or name it in the plan: resources: {database: [{app: %s, backward_compatible: true, destructive: [%s]}]}",
		strings.Join(lines, "\n"), app, strings.Join(names, ", "))
}

var _ Packages = (*packages.Store)(nil)
