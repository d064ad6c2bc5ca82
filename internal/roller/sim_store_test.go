package roller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"railyard/internal/fleet"
)

// simStore is the database: it keeps a roll's header and its targets apart, as the real one does, so that a save which
// forgets a changed target is found. sim.mu guards it.
type simStore struct {
	*sim
	rolls    map[string]*simRoll
	locks    map[fleet.SiteRef]string
	current  map[fleet.SiteRef]Revision
	byRoll   map[fleet.SiteRef]string // which roll completed it
	barred   map[fleet.SiteRef]map[string]string
	commands []Command
	away     time.Time // the database does not answer until then
	hangs    bool      // and does not even refuse
	nextID   int64
}

type simRoll struct {
	header  []byte
	targets map[string][]byte
	roll    Roll // decoded
	fence   int64
	owner   string
	until   time.Time
}

func newSimStore(s *sim) *simStore {
	return &simStore{
		sim: s, rolls: map[string]*simRoll{}, locks: map[fleet.SiteRef]string{}, current: map[fleet.SiteRef]Revision{},
		byRoll: map[fleet.SiteRef]string{}, barred: map[fleet.SiteRef]map[string]string{},
	}
}

func encodeJSON(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return body
}

func (r *simRoll) put(roll Roll, targets []Target) {
	for _, t := range targets {
		r.targets[t.Server] = encodeJSON(t)
	}
	roll.Targets = nil
	r.header = encodeJSON(roll)
	r.decode()
}

func (r *simRoll) decode() {
	r.roll = Roll{}
	if err := json.Unmarshal(r.header, &r.roll); err != nil {
		panic(err)
	}
	for _, name := range slices.Sorted(maps.Keys(r.targets)) {
		var t Target
		if err := json.Unmarshal(r.targets[name], &t); err != nil {
			panic(err)
		}
		r.roll.Targets = append(r.roll.Targets, t)
	}
	sortTargets(r.roll.Targets)
}

var (
	errSimRefused = errors.New("connection refused")
	errSimLost    = errors.New("connection lost while the commit was under way")
	errSimDead    = errors.New("the process is dead")
)

// simView is the store as one process sees it. A dead process reaches nothing.
type simView struct {
	*simStore
	proc *simProc
}

// call does what f does, at a random moment, or not, and its answer may be lost.
func (v simView) call(ctx context.Context, name string, f func() error) error {
	r := v.draw(v.proc.name + " " + name)
	hang, refuse, lose := v.luck(r)
	if !v.wait(ctx, r, 200*time.Microsecond, 5*time.Millisecond) {
		return context.Cause(ctx)
	}
	if v.proc.dead.Load() {
		return errSimDead
	}
	if hang {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-v.over:
			return errSimDead
		}
	}
	if refuse {
		return errSimRefused
	}
	var err error
	v.locked(func() { err = f() })
	if err == nil && lose {
		return errSimLost
	}
	return err
}

func (v simView) luck(r *rand.Rand) (hang, refuse, lose bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Now().Before(v.away) {
		return v.hangs, !v.hangs, false
	}
	if v.calm {
		return false, false, false
	}
	switch n := r.IntN(1000); {
	case n < 4:
		hang = true
	case n < 14:
		refuse = true
	case n < 26:
		lose = true
	}
	return hang, refuse, lose
}

func (s *sim) wait(ctx context.Context, r *rand.Rand, least, most time.Duration) bool {
	timer := time.NewTimer(least + time.Duration(r.Int64N(int64(most-least))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.over:
		return false
	}
}

func (v simView) ClaimRolls(ctx context.Context, owner string, now time.Time, ttl time.Duration) (claims []Claim, err error) {
	err = v.call(ctx, "claim", func() error {
		for _, id := range slices.Sorted(maps.Keys(v.rolls)) {
			r := v.rolls[id]
			if r.roll.Stage.Terminal() || now.Before(r.until) {
				continue
			}
			r.fence++
			r.owner, r.until = owner, now.Add(ttl)
			r.decode()
			v.note("%s claims %s (%s)", owner, id, r.roll.Stage)
			claims = append(claims, Claim{Roll: r.roll, Owner: owner, Fence: r.fence})
		}
		return nil
	})
	if err != nil {
		claims = nil // taken, and not known to be: they stay until the leases end
	}
	return claims, err
}

func (v simView) held(c Claim) (*simRoll, error) {
	r := v.rolls[c.Roll.ID]
	if r.fence != c.Fence {
		return nil, ErrFenced
	}
	return r, nil
}

func (v simView) RenewRoll(ctx context.Context, c Claim, now time.Time, ttl time.Duration) error {
	return v.call(ctx, "renew "+c.Roll.ID, func() error {
		r, err := v.held(c)
		if err == nil {
			r.until = now.Add(ttl)
		}
		return err
	})
}

func (v simView) ReleaseRoll(ctx context.Context, c Claim) error {
	return v.call(ctx, "release "+c.Roll.ID, func() error {
		r, err := v.held(c)
		if err == nil {
			r.fence++
			r.until = time.Time{}
		}
		return err
	})
}

func (v simView) SaveRoll(ctx context.Context, c Claim, save Save) error {
	return v.call(ctx, "save "+c.Roll.ID, func() error {
		r, err := v.held(c)
		if err != nil {
			return err
		}
		v.checkSave(r, save)
		for _, e := range save.Events {
			v.note("%s: %s %s %s → %s: %s", e.Object, e.What, e.Server, e.From, e.To, e.Why)
		}
		r.put(save.Roll, save.Targets)
		v.commands = slices.DeleteFunc(v.commands, func(c Command) bool { return slices.Contains(save.Handled, c.ID) })
		site := r.roll.Site
		if save.Complete != nil {
			v.current[site], v.byRoll[site] = *save.Complete, r.roll.ID
		}
		if save.Bar != "" {
			v.barred[site][save.Bar] = "rolled back by " + r.roll.ID
		}
		for _, held := range r.roll.Locks() {
			if save.Unlock && v.locks[held] == r.roll.ID {
				delete(v.locks, held)
			}
		}
		return nil
	})
}

func (v simView) PendingCommands(ctx context.Context, roll string) (pending []Command, err error) {
	err = v.call(ctx, "commands "+roll, func() error {
		for _, c := range v.commands {
			if c.Roll == roll {
				pending = append(pending, c)
			}
		}
		return nil
	})
	slices.SortFunc(pending, func(a, b Command) int { return cmp.Compare(a.ID, b.ID) })
	return pending, err
}

func (v simView) LockSites(ctx context.Context, sites []fleet.SiteRef, roll, _ string, _ time.Time, _ time.Duration) (holder LockHolder, err error) {
	err = v.call(ctx, "lock "+roll, func() error { holder = v.lock(sites, roll); return nil })
	return holder, err
}

// lock takes locks in order, up to the first that another roll holds. sim.mu is held.
func (st *simStore) lock(sites []fleet.SiteRef, roll string) (holder LockHolder) {
	for _, site := range sites {
		held := st.rolls[st.locks[site]]
		if held == nil || held.roll.Stage.Terminal() {
			st.locks[site] = roll
		}
		if holder = (LockHolder{Site: site, Roll: st.locks[site]}); holder.Roll != roll {
			return holder
		}
	}
	return holder
}

func (v simView) SiteRevision(ctx context.Context, site fleet.SiteRef) (r Revision, err error) {
	err = v.call(ctx, "revision "+site.String(), func() error { r = v.current[site]; return nil })
	return r, err
}

func (v simView) BarredRevisions(ctx context.Context, site fleet.SiteRef) (barred map[string]string, err error) {
	err = v.call(ctx, "barred "+site.String(), func() error { barred = maps.Clone(v.barred[site]); return nil })
	return barred, err
}
