package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// header returns the roll's row without its targets.
func header(r roller.Roll) (string, error) {
	r.Targets = nil
	return encode(r)
}

func (t *tx) insertRoll(ctx context.Context, r roller.Roll) error {
	body, err := header(r)
	if err != nil {
		return err
	}
	err = t.InsertRoll(ctx, db.InsertRollParams{ID: r.ID, Coach: r.Coach, Kind: string(r.Kind), Environment: r.Site.Environment,
		Pool: r.Site.Pool, Stage: string(r.Stage), Created: micros(r.Created), Terminal: r.Stage.Terminal(), Header: body})
	if err != nil && t.engine.unique(err) {
		return fmt.Errorf("roll %s exists: %w", r.ID, pipeline.ErrConflict)
	}
	if err != nil {
		return err
	}
	return t.insertTargets(ctx, r.ID, r.Targets)
}

// targetsAtOnce bounds the rows of one insert.
const targetsAtOnce = 200

func (t *tx) insertTargets(ctx context.Context, roll string, targets []roller.Target) error {
	for chunk := range slices.Chunk(targets, targetsAtOnce) {
		args := make([]any, 0, 4*len(chunk))
		for _, target := range chunk {
			body, err := encode(target)
			if err != nil {
				return err
			}
			args = append(args, roll, target.Server, target.Batch, body)
		}
		query := "INSERT INTO roll_targets (roll, server, batch, body) VALUES (?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?)", len(chunk)-1)
		if _, err := t.raw.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// putTargets writes targets that may be there or not: one statement for one server, two for any number of them.
func (t *tx) putTargets(ctx context.Context, roll string, targets []roller.Target) error {
	if len(targets) == 1 {
		body, err := encode(targets[0])
		if err != nil {
			return err
		}
		n, err := t.UpdateTarget(ctx, db.UpdateTargetParams{Batch: int64(targets[0].Batch), Body: body, Roll: roll, Server: targets[0].Server})
		if err != nil || n == 1 {
			return err
		}
		return t.insertTargets(ctx, roll, targets)
	}
	for chunk := range slices.Chunk(targets, targetsAtOnce) {
		servers := make([]string, len(chunk))
		for i, target := range chunk {
			servers[i] = target.Server
		}
		if err := t.DeleteTargets(ctx, db.DeleteTargetsParams{Roll: roll, Servers: servers}); err != nil {
			return err
		}
		if err := t.insertTargets(ctx, roll, chunk); err != nil {
			return err
		}
	}
	return nil
}

// readRoll reads a roll with its targets.
func readRoll(ctx context.Context, q *db.Queries, id string) (roller.Roll, error) {
	head, err := q.RollHeader(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		err = pipeline.ErrNotFound
	}
	if err != nil {
		return roller.Roll{}, err
	}
	r, err := decode[roller.Roll](head)
	if err != nil {
		return r, err
	}
	bodies, err := q.Targets(ctx, id)
	if err != nil {
		return r, err
	}
	if len(bodies) > 0 {
		r.Targets, err = decodeAll[roller.Target](bodies)
	}
	return r, err
}

// Roll returns a roll with its targets, all of one moment. errors.Is: pipeline.ErrNotFound.
func (s *Store) Roll(ctx context.Context, id string) (roller.Roll, error) {
	var r roller.Roll
	err := s.snapshot(ctx, "read roll "+id, func(q *db.Queries) error {
		var err error
		r, err = readRoll(ctx, q, id)
		return err
	})
	return r, err
}

// RollFilter chooses rolls. Empty fields choose all.
type RollFilter struct {
	Coach       string
	Environment string
	Pool        string
	Stage       roller.Stage
	Active      bool // only those that have not ended
}

// Rolls returns at most limit (0 = 100) of the chosen rolls, newest first, without their targets.
func (s *Store) Rolls(ctx context.Context, f RollFilter, most int) ([]roller.Roll, error) {
	var w where
	w.eq("coach", f.Coach)
	w.eq("environment", f.Environment)
	w.eq("pool", f.Pool)
	w.eq("stage", string(f.Stage))
	if f.Active {
		w.add("terminal = FALSE")
	}
	rolls, err := list[roller.Roll](ctx, s.counted(s.engine.reader(), progress), "SELECT header FROM rolls"+w.String()+
		" ORDER BY created DESC, id DESC LIMIT ?", append(w.args, limit(most))...)
	if err != nil {
		return nil, fmt.Errorf("list rolls: %w", err)
	}
	return rolls, nil
}

// RollsOfCoach returns a Coach's rolls with their targets, oldest first, all of one moment.
func (s *Store) RollsOfCoach(ctx context.Context, coach string) ([]roller.Roll, error) {
	var rolls []roller.Roll
	err := s.snapshot(ctx, "read the rolls of coach "+coach, func(q *db.Queries) error {
		heads, err := q.RollHeadersOfCoach(ctx, coach)
		if err != nil {
			return err
		}
		if rolls, err = decodeAll[roller.Roll](heads); err != nil {
			return err
		}
		rows, err := q.TargetsOfCoach(ctx, coach)
		if err != nil {
			return err
		}
		targets := map[string][]roller.Target{}
		for _, row := range rows {
			target, err := decode[roller.Target](row.Body)
			if err != nil {
				return err
			}
			targets[row.Roll] = append(targets[row.Roll], target)
		}
		for i := range rolls {
			rolls[i].Targets = targets[rolls[i].ID]
		}
		return nil
	})
	return rolls, err
}

// AddRoll keeps a roll that no Coach asked for, such as a person's return of a completed site. errors.Is:
// pipeline.ErrConflict when its id is taken.
func (s *Store) AddRoll(ctx context.Context, r roller.Roll, events ...event.Event) error {
	return s.write(ctx, fact, "add roll "+r.ID, func(t *tx) error {
		t.events = append(t.events, events...)
		return t.insertRoll(ctx, r)
	})
}

// ClaimRolls implements roller.Store. A roll that cannot be claimed for a fault of its own row is logged and left out.
func (s *Store) ClaimRolls(ctx context.Context, owner string, now time.Time, ttl time.Duration) ([]roller.Claim, error) {
	rows, err := db.New(s.counted(s.engine.reader(), lease)).ClaimableRolls(ctx, micros(now))
	if err != nil {
		return nil, fmt.Errorf("look for rolls to claim: %w", err)
	}
	return claimEach(ctx, s, "roll", rows, func(t *tx, row unheld) (roller.Claim, error) {
		n, err := t.ClaimRoll(ctx, db.ClaimRollParams{Owner: owner, LeaseUntil: micros(now.Add(ttl)), ID: row.ID, Fence: row.Fence, Now: micros(now)})
		if err := fenced(n, err, roller.ErrFenced); err != nil {
			return roller.Claim{}, err
		}
		r, err := readRoll(ctx, t.Queries, row.ID)
		return roller.Claim{Roll: r, Owner: owner, Fence: row.Fence + 1}, err
	})
}

// RenewRoll implements roller.Store.
func (s *Store) RenewRoll(ctx context.Context, c roller.Claim, now time.Time, ttl time.Duration) error {
	return s.write(ctx, lease, "renew roll "+c.Roll.ID, func(t *tx) error {
		n, err := t.RenewRoll(ctx, db.RenewRollParams{LeaseUntil: micros(now.Add(ttl)), ID: c.Roll.ID, Fence: c.Fence})
		return fenced(n, err, roller.ErrFenced)
	})
}

// ReleaseRoll implements roller.Store. It raises the fence, so that nothing can be saved under the claim afterwards.
func (s *Store) ReleaseRoll(ctx context.Context, c roller.Claim) error {
	return s.write(ctx, lease, "release roll "+c.Roll.ID, func(t *tx) error {
		n, err := t.ReleaseRoll(ctx, db.ReleaseRollParams{ID: c.Roll.ID, Fence: c.Fence})
		return fenced(n, err, roller.ErrFenced)
	})
}

// SaveRoll implements roller.Store: one statement for the header, one for one changed server and two for many, one for the
// events, and one for each effect. When the connection broke during COMMIT the error is ErrFenced and ErrUnknownOutcome:
// whoever claims the roll next, perhaps this owner, reads what was saved.
func (s *Store) SaveRoll(ctx context.Context, c roller.Claim, save roller.Save) error {
	id := c.Roll.ID
	head, err := header(save.Roll)
	if err != nil {
		return fmt.Errorf("save roll %s: %w", id, err)
	}
	err = s.write(ctx, progress, "save roll "+id, func(t *tx) error {
		n, err := t.UpdateRoll(ctx, db.UpdateRollParams{Stage: string(save.Roll.Stage), Terminal: save.Roll.Stage.Terminal(),
			Header: head, ID: id, Fence: c.Fence})
		if err := fenced(n, err, roller.ErrFenced); err != nil {
			return err
		}
		if err := t.putTargets(ctx, id, save.Targets); err != nil {
			return err
		}
		if len(save.Handled) > 0 {
			if err := t.HandleRollCommands(ctx, db.HandleRollCommandsParams{Roll: id, Ids: save.Handled}); err != nil {
				return err
			}
		}
		t.events = append(t.events, save.Events...)
		return t.effects(ctx, save)
	})
	return unsure(err, roller.ErrFenced)
}

// effects does what a saved roll means for its site.
func (t *tx) effects(ctx context.Context, save roller.Save) error {
	site, at := save.Roll.Site, savedAt(save)
	if save.Complete != nil {
		if err := t.completeSite(ctx, site, *save.Complete, save.Roll.ID, at); err != nil {
			return err
		}
	}
	if save.Bar != "" {
		if err := t.bar(ctx, Bar{Site: site, Revision: save.Bar, Reason: save.Roll.Reason, Roll: save.Roll.ID, At: at}); err != nil {
			return err
		}
	}
	if !save.Unlock {
		return nil
	}
	for _, held := range save.Roll.Locks() {
		if err := t.DeleteSiteLock(ctx, db.DeleteSiteLockParams{Site: held.String(), Roll: save.Roll.ID}); err != nil {
			return err
		}
	}
	return nil
}

// savedAt is when the decision was made, as its last event says.
func savedAt(save roller.Save) time.Time {
	if n := len(save.Events); n > 0 {
		return save.Events[n-1].At
	}
	return save.Roll.StageSince
}

// AddRollCommand keeps a person's order to a roll until its owner reads it. errors.Is: pipeline.ErrNotFound, ErrFinished.
func (s *Store) AddRollCommand(ctx context.Context, c roller.Command, events ...event.Event) (id int64, err error) {
	what := fmt.Sprintf("keep the command to %s roll %s", c.Kind, c.Roll)
	err = s.write(ctx, fact, what, func(t *tx) error {
		ended, err := t.RollTerminal(ctx, c.Roll)
		if err := listening(ended, err); err != nil {
			return err
		}
		t.events = append(t.events, events...)
		id, err = t.insertRollCommand(ctx, c)
		return err
	})
	return id, err
}

// listening is nil when the Coach or roll that was looked up will read a command.
func listening(ended bool, err error) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return pipeline.ErrNotFound
	case err == nil && ended:
		return ErrFinished
	}
	return err
}

func (t *tx) insertRollCommand(ctx context.Context, c roller.Command) (int64, error) {
	return t.InsertRollCommand(ctx, db.InsertRollCommandParams{Roll: c.Roll, Kind: string(c.Kind), Server: c.Server, Actor: clean(c.Actor),
		Reason: clean(c.Reason), At: micros(c.At)})
}

// PendingCommands implements roller.Store.
func (s *Store) PendingCommands(ctx context.Context, roll string) ([]roller.Command, error) {
	rows, err := s.read().PendingRollCommands(ctx, roll)
	if err != nil {
		return nil, fmt.Errorf("read the commands to roll %s: %w", roll, err)
	}
	var commands []roller.Command
	for _, r := range rows {
		commands = append(commands, roller.Command{ID: r.ID, Roll: r.Roll, Kind: roller.CommandKind(r.Kind), Server: r.Server,
			Actor: r.Actor, Reason: r.Reason, At: moment(r.At)})
	}
	return commands, nil
}
