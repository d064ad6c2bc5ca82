package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"railyard/internal/rop"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

func (t *tx) insertCoach(ctx context.Context, c rop.Coach) error {
	body, err := encode(c)
	if err != nil {
		return err
	}
	err = t.InsertCoach(ctx, db.InsertCoachParams{ID: c.ID, Project: c.Project, Series: int64(c.Series), Candidate: int64(c.Candidate),
		Sbu: c.SBU, Repository: c.Repository, Branch: c.Branch, CommitID: c.Commit, State: string(c.State), Environment: c.Environment,
		Created: micros(c.Created), Terminal: c.State.Terminal(), Closed: c.Closed, Body: body})
	if err != nil && t.engine.unique(err) {
		return fmt.Errorf("coach %s exists: %w", c.ID, pipeline.ErrConflict)
	}
	if err != nil {
		return err
	}
	return t.insertBuilds(ctx, c)
}

// insertBuilds keeps which Coach the builds' deployment ids belong to.
func (t *tx) insertBuilds(ctx context.Context, c rop.Coach) error {
	if len(c.Builds) == 0 {
		return nil
	}
	rows, err := t.DeploymentsOfCoach(ctx, c.ID)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(rows))
	for _, deployment := range rows {
		known[deployment] = true
	}
	for _, b := range c.Builds {
		if known[b.Deployment] {
			continue
		}
		if err := t.InsertBuild(ctx, db.InsertBuildParams{Deployment: b.Deployment, Coach: c.ID, App: b.App, Attempt: int64(b.Attempt)}); err != nil {
			return fmt.Errorf("build %s: %w", b.Deployment, err)
		}
	}
	return nil
}

// oneCoach decodes the body that a query found.
func oneCoach(what, body string, err error) (rop.Coach, error) {
	if errors.Is(err, sql.ErrNoRows) {
		err = pipeline.ErrNotFound
	}
	if err != nil {
		return rop.Coach{}, fmt.Errorf("%s: %w", what, err)
	}
	return decode[rop.Coach](body)
}

// Coach returns a Coach by its id. errors.Is: pipeline.ErrNotFound.
func (s *Store) Coach(ctx context.Context, id string) (rop.Coach, error) {
	body, err := s.read().CoachBody(ctx, id)
	return oneCoach("read coach "+id, body, err)
}

// LatestCoach implements pipeline.Store.
func (s *Store) LatestCoach(ctx context.Context, repository, branch string) (rop.Coach, error) {
	body, err := s.read().LatestCoachBody(ctx, db.LatestCoachBodyParams{Repository: repository, Branch: branch})
	return oneCoach("read the latest coach of "+repository+" "+branch, body, err)
}

// CoachOfDeployment returns the Coach that a deployment id belongs to. errors.Is: pipeline.ErrNotFound.
func (s *Store) CoachOfDeployment(ctx context.Context, deployment string) (rop.Coach, error) {
	body, err := s.read().DeploymentCoachBody(ctx, deployment)
	return oneCoach("read the coach of deployment "+deployment, body, err)
}

// CoachFilter chooses Coaches. Empty fields choose all.
type CoachFilter struct {
	Project    string
	SBU        string
	Repository string
	Branch     string
	State      rop.State
	Active     bool // only those that have not ended
}

// Coaches returns at most limit (0 = 100) of the chosen Coaches, newest first.
func (s *Store) Coaches(ctx context.Context, f CoachFilter, most int) ([]rop.Coach, error) {
	var w where
	w.eq("project", f.Project)
	w.eq("sbu", f.SBU)
	w.eq("repository", f.Repository)
	w.eq("branch", f.Branch)
	w.eq("state", string(f.State))
	if f.Active {
		w.add("terminal = FALSE")
	}
	coaches, err := list[rop.Coach](ctx, s.counted(s.engine.reader(), progress), "SELECT body FROM coaches"+w.String()+
		" ORDER BY created DESC, id DESC LIMIT ?", append(w.args, limit(most))...)
	if err != nil {
		return nil, fmt.Errorf("list coaches: %w", err)
	}
	return coaches, nil
}

// list decodes the first column of a query's rows.
func list[T any](ctx context.Context, from db.DBTX, query string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var bodies []string
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return decodeAll[T](bodies)
}

// LastSeries implements pipeline.Store.
func (s *Store) LastSeries(ctx context.Context, project string) (int, error) {
	series, err := s.read().LastSeries(ctx, project)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read the last series of %s: %w", project, err)
	}
	return int(series), nil
}

// ClaimCoaches implements pipeline.Store. It returns what nobody holds at now, so what owner holds already is not among
// it. A Coach that cannot be claimed for a fault of its own row is logged and left out.
func (s *Store) ClaimCoaches(ctx context.Context, owner string, now time.Time, ttl time.Duration) ([]pipeline.Claim, error) {
	rows, err := db.New(s.counted(s.engine.reader(), lease)).ClaimableCoaches(ctx, micros(now))
	if err != nil {
		return nil, fmt.Errorf("look for coaches to claim: %w", err)
	}
	return claimEach(ctx, s, "coach", rows, func(t *tx, row unheld) (pipeline.Claim, error) {
		n, err := t.ClaimCoach(ctx, db.ClaimCoachParams{Owner: owner, LeaseUntil: micros(now.Add(ttl)), ID: row.ID, Fence: row.Fence, Now: micros(now)})
		if err := fenced(n, err, pipeline.ErrFenced); err != nil {
			return pipeline.Claim{}, err
		}
		body, err := t.CoachBody(ctx, row.ID)
		if err != nil {
			return pipeline.Claim{}, err
		}
		coach, err := decode[rop.Coach](body)
		return pipeline.Claim{Coach: coach, Owner: owner, Fence: row.Fence + 1}, err
	})
}

// RenewCoach implements pipeline.Store.
func (s *Store) RenewCoach(ctx context.Context, c pipeline.Claim, now time.Time, ttl time.Duration) error {
	return s.write(ctx, lease, "renew coach "+c.Coach.ID, func(t *tx) error {
		n, err := t.RenewCoach(ctx, db.RenewCoachParams{LeaseUntil: micros(now.Add(ttl)), ID: c.Coach.ID, Fence: c.Fence})
		return fenced(n, err, pipeline.ErrFenced)
	})
}

// ReleaseCoach implements pipeline.Store. It raises the fence, so that nothing can be saved under the claim afterwards.
func (s *Store) ReleaseCoach(ctx context.Context, c pipeline.Claim) error {
	return s.write(ctx, lease, "release coach "+c.Coach.ID, func(t *tx) error {
		n, err := t.ReleaseCoach(ctx, db.ReleaseCoachParams{ID: c.Coach.ID, Fence: c.Fence})
		return fenced(n, err, pipeline.ErrFenced)
	})
}

// fenced turns an update under a fence that found no row into an error.
func fenced(found int64, err, lost error) error {
	if err == nil && found != 1 {
		return lost
	}
	return err
}

// SaveCoach implements pipeline.Store. When the connection broke during COMMIT the error is ErrFenced and ErrUnknownOutcome:
// whoever claims the Coach next, perhaps this owner, reads what was saved.
func (s *Store) SaveCoach(ctx context.Context, c pipeline.Claim, save pipeline.Save) error {
	body, err := encode(save.Coach)
	if err != nil {
		return fmt.Errorf("save coach %s: %w", c.Coach.ID, err)
	}
	err = s.write(ctx, fact, "save coach "+c.Coach.ID, func(t *tx) error {
		n, err := t.UpdateCoach(ctx, db.UpdateCoachParams{State: string(save.Coach.State), Environment: save.Coach.Environment,
			Terminal: save.Coach.State.Terminal(), Closed: save.Coach.Closed, Body: body, ID: c.Coach.ID, Fence: c.Fence})
		if err := fenced(n, err, pipeline.ErrFenced); err != nil {
			return err
		}
		if save.Reserve != nil {
			if err := t.reserve(ctx, *save.Reserve, save.Coach.ROP.Since); err != nil {
				return err
			}
		}
		if save.Release != nil {
			if err := t.letGo(ctx, *save.Release); err != nil {
				return err
			}
		}
		if err := t.insertBuilds(ctx, save.Coach); err != nil {
			return err
		}
		for _, r := range save.NewRolls {
			if err := t.insertRoll(ctx, r); err != nil {
				return err
			}
		}
		for _, command := range save.RollCommands {
			if _, err := t.insertRollCommand(ctx, command); err != nil {
				return err
			}
		}
		if len(save.Handled) > 0 {
			if err := t.HandleCoachCommands(ctx, db.HandleCoachCommandsParams{Coach: c.Coach.ID, Ids: save.Handled}); err != nil {
				return err
			}
		}
		if err := t.useQuotas(ctx, save.Use); err != nil {
			return err
		}
		if save.Seat != nil {
			if err := t.changeSeat(ctx, save.Coach.ID, *save.Seat, savedCoachAt(save)); err != nil {
				return err
			}
		}
		t.events = append(t.events, save.Events...)
		return t.keepOpen(ctx, save.Coach)
	})
	return unsure(err, pipeline.ErrFenced)
}

// keepOpen lets a Coach that was closed be claimed again when somebody gave it an order that its owner has not read.
func (t *tx) keepOpen(ctx context.Context, c rop.Coach) error {
	if !c.Closed {
		return nil
	}
	pending, err := t.PendingCoachCommands(ctx, c.ID)
	if err != nil || len(pending) == 0 {
		return err
	}
	_, err = t.ReopenCoach(ctx, c.ID)
	return err
}

// unsure makes an owner that cannot know what it saved give up its claim.
func unsure(err, lost error) error {
	if errors.Is(err, ErrUnknownOutcome) {
		return errors.Join(err, lost)
	}
	return err
}
