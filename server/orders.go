package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/packages"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server/api"
)

// RevokeCoach implements the contract.
func (s *Server) RevokeCoach(ctx context.Context, r api.RevokeCoachRequestObject) (api.RevokeCoachResponseObject, error) {
	coach, actor, err := s.coachFor(ctx, access.Revoke, r.Coach)
	if err != nil {
		return nil, err
	}
	command := pipeline.Command{Coach: coach.ID, Kind: pipeline.CmdRevoke, Actor: actor.String(), Reason: r.Body.Reason, At: s.now()}
	_, err = s.Store.AddCoachCommand(ctx, command, event.Event{
		At: command.At, Actor: command.Actor, Object: "coach/" + coach.ID, Coach: coach.ID, What: "revoke_asked", Why: command.Reason,
	})
	if err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(coach.ID)
	return api.RevokeCoach202Response{}, nil
}

// coachFor finds a Coach and authorises the action on it.
func (s *Server) coachFor(ctx context.Context, action access.Action, id string) (rop.Coach, access.Actor, error) {
	coach, err := s.Store.Coach(ctx, id)
	if err != nil {
		return coach, access.Actor{}, database(err)
	}
	actor, err := s.authorize(ctx, action, coachObject(coach))
	return coach, actor, err
}

// actions says what right each command to a roll takes.
var actions = map[roller.CommandKind]access.Action{
	roller.CmdBrake: access.Brake, roller.CmdResume: access.Resume, roller.CmdRetry: access.Retry, roller.CmdSkip: access.Skip,
	roller.CmdRevoke: access.Revoke, roller.CmdRollback: access.Rollback, roller.CmdEmergency: access.Emergency,
}

// CommandRoll implements the contract. A brake stops new actions in memory before anything is stored, and so also when nothing can be.
func (s *Server) CommandRoll(ctx context.Context, r api.CommandRollRequestObject) (api.CommandRollResponseObject, error) {
	kind := roller.CommandKind(r.Body.Command)
	action, ok := actions[kind]
	if !ok {
		return nil, fmt.Errorf("%w: body.command: unknown command %q", errInvalid, kind)
	}
	if server := value(r.Body.Server); (kind == roller.CmdSkip) != (server != "") {
		return nil, fmt.Errorf("%w: body.server: skip names the server to leave out, other commands name none", errInvalid)
	}
	object, roll, err := s.rollObject(ctx, r.Roll, kind)
	if err != nil {
		return nil, err
	}
	actor, err := s.authorize(ctx, action, object)
	if err != nil {
		return nil, err
	}
	if err := s.planAllowsRoll(ctx, kind, roll.Coach, actor); err != nil {
		return nil, err
	}
	if goesBack(kind) && roll.Stage == roller.Done {
		id, err := s.goBackRoll(ctx, roll, kind, actor, r.Body.Reason)
		if err != nil {
			return nil, fmt.Errorf("roll back %s: %w", r.Roll, err)
		}
		return api.CommandRoll202JSONResponse{Roll: id}, nil
	}
	if kind == roller.CmdBrake {
		s.Kick.Brake(r.Roll)
	}
	command := roller.Command{Roll: r.Roll, Kind: kind, Server: value(r.Body.Server), Actor: actor.String(), Reason: r.Body.Reason, At: s.now()}
	keep, cancel := context.WithTimeout(ctx, s.bounds.keep)
	defer cancel()
	_, err = s.Store.AddRollCommand(keep, command, event.Event{
		At: command.At, Actor: command.Actor, Object: object.Name, Coach: roll.Coach, Server: command.Server, What: string(kind) + "_asked", Why: command.Reason,
	})
	if err = database(err); err != nil && kind == roller.CmdBrake {
		return nil, s.brakedOnly(r.Roll, err)
	}
	if err != nil {
		return nil, err
	}
	s.Kick.Roll(r.Roll)
	return api.CommandRoll202JSONResponse{Roll: r.Roll}, nil
}

// brakedOnly words a brake that took effect but could not be stored: it does not outlive this process, and other replicas do not know.
func (s *Server) brakedOnly(roll string, err error) error {
	if _, tell := kindOf(err); tell {
		return err // not the database: the roll has ended, or there is none
	}
	s.log.WithError(err).WithField("roll", roll).Error("brake taken but not stored")
	return fmt.Errorf("brake of roll %s: %w: this replica starts no new action of the roll from now on, but the brake is not stored, "+
		"because the database does not answer; ask again until it is accepted, or a restart would forget it", roll, errUnavailable)
}

// rollObject finds whose roll it is: of the SBU whose Coach it carries, or else of its pool's. A brake may not wait for the database, so
// for a brake alone what was seen lately will do.
func (s *Server) rollObject(ctx context.Context, id string, kind roller.CommandKind) (object access.Object, roll roller.Roll, err error) {
	read, cancel := context.WithTimeout(ctx, s.bounds.look)
	defer cancel()
	roll, err = s.Store.Roll(read, id)
	if err == nil {
		object, err = s.ownerOf(read, roll)
	}
	if err = database(err); errors.Is(err, errDatabase) && kind == roller.CmdBrake {
		return s.objects.get(id), roller.Roll{}, nil
	}
	return object, roll, err
}

func (s *Server) ownerOf(ctx context.Context, roll roller.Roll) (access.Object, error) {
	object := access.Object{Name: "roll/" + roll.ID}
	if roll.Coach == "" {
		if t := s.Topology(); t != nil {
			pool, _ := t.Pool(roll.Site.Pool)
			object.SBU = pool.SBU
		}
		return object, nil
	}
	coach, err := s.Store.Coach(ctx, roll.Coach)
	object.SBU = coach.SBU
	if errors.Is(err, pipeline.ErrNotFound) { // a Train's
		var train pipeline.Train
		train, err = s.Store.Train(ctx, roll.Coach)
		object.SBU = train.SBU
	}
	return object, err
}

// BeginDeployment implements the contract.
func (s *Server) BeginDeployment(ctx context.Context, r api.BeginDeploymentRequestObject) (api.BeginDeploymentResponseObject, error) {
	d, actor, err := s.deploymentFor(ctx, r.Deployment)
	if err != nil {
		return nil, err
	}
	if r.Body.Job != d.build.Job {
		return nil, fmt.Errorf("begin deployment %s: it is a build of job %q, not of %q: %w", r.Deployment, d.build.Job, r.Body.Job, errConflict)
	}
	key := fmt.Sprintf("%s/%s#%d", d.build.Controller, r.Body.Job, r.Body.Number)
	at := s.now()
	err = s.Store.BeginBuild(ctx, r.Deployment, key, pipeline.Begun{Number: r.Body.Number, URL: value(r.Body.Url)}, at, event.Event{
		At: at, Actor: actor.String(), Object: "deployment/" + r.Deployment, Coach: d.carrier(), What: "build_began", Why: key, To: value(r.Body.Url),
	})
	if errors.Is(err, store.ErrDuplicate) {
		return nil, fmt.Errorf("begin deployment %s: this build is a duplicate and should end: %w", r.Deployment, err)
	}
	if err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(d.carrier())
	return api.BeginDeployment200JSONResponse(d.shown()), nil
}

// PublishPackage implements the contract. The bytes go to the package store first; only then is it a fact that they are there.
func (s *Server) PublishPackage(ctx context.Context, r api.PublishPackageRequestObject) (api.PublishPackageResponseObject, error) {
	d, actor, err := s.deploymentFor(ctx, r.Deployment)
	if err != nil {
		return nil, err
	}
	coach, build := d.coach, d.build
	if coach.ID == "" {
		return nil, fmt.Errorf("publish package of %s: Train %s builds nothing, its Coaches do: %w", r.Deployment, d.carrier(), errConflict)
	}
	digest, size, err := s.Packages.Put(ctx, upload(ctx, r.Body), s.MaxPackage)
	if err != nil {
		return nil, fmt.Errorf("publish package of %s: %w", r.Deployment, unread(err))
	}
	if size == 0 {
		return nil, fmt.Errorf("%w: body: the package of %s is empty", errInvalid, r.Deployment)
	}
	p := pipeline.Package{Deployment: r.Deployment, App: build.App, Digest: digest, Size: size, At: s.now()}
	checked, err := s.checkMigration(ctx, coach, r.Deployment, build.App, digest, p.At)
	if err != nil {
		return nil, fmt.Errorf("publish package of %s: %w", r.Deployment, err)
	}
	err = s.Store.PublishPackage(ctx, p, append(checked, event.Event{
		At: p.At, Actor: actor.String(), Object: "deployment/" + r.Deployment, Coach: coach.ID, What: "package_published",
		Why: fmt.Sprintf("package of %s, %d bytes", build.App, size), To: digest,
	})...)
	if err != nil {
		return nil, database(err)
	}
	s.Kick.Coach(coach.ID)
	return api.PublishPackage200JSONResponse{Digest: digest, Size: size}, nil
}

// unread tells a body that broke off from a package store that does not work.
func unread(err error) error {
	var broken bodyError
	if errors.As(err, &broken) && !errors.Is(err, packages.ErrTooLarge) {
		return invalid(err)
	}
	return err
}

// upload reads a body of any length: each part that arrives moves the connection's deadlines on, so it is slow clients that are cut, not
// long uploads.
func upload(ctx context.Context, body io.Reader) io.Reader {
	return uploading{from: body, control: visitOf(ctx).control}
}

type uploading struct {
	from    io.Reader
	control *http.ResponseController
}

// uploadPatience is how long the next part of an upload may take, and after the last one the store.
const uploadPatience = time.Minute

func (u uploading) Read(p []byte) (int, error) {
	if u.control != nil {
		// A recorder in a test has no deadlines; every real connection has.
		_ = u.control.SetReadDeadline(time.Now().Add(uploadPatience))
		_ = u.control.SetWriteDeadline(time.Now().Add(2 * uploadPatience))
	}
	n, err := u.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = bodyError{err}
	}
	return n, err
}

// bodyError is the sender's failure, not ours.
type bodyError struct{ error }

func (e bodyError) Unwrap() error { return e.error }

// maxTopology caps a topology file in bytes.
const maxTopology = 4 << 20

// ApplyTopology implements the contract.
func (s *Server) ApplyTopology(ctx context.Context, r api.ApplyTopologyRequestObject) (api.ApplyTopologyResponseObject, error) {
	actor, err := s.authorize(ctx, access.ApplyTopology, nobodys("topology"))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxTopology+1))
	if err != nil {
		return nil, invalid(fmt.Errorf("read the topology: %w", err))
	}
	if len(text) > maxTopology {
		return nil, fmt.Errorf("a topology may have %d bytes: %w", maxTopology, packages.ErrTooLarge)
	}
	if err := s.Options.ApplyTopology(ctx, actor.String(), string(text)); err != nil {
		return nil, database(err)
	}
	return api.ApplyTopology204Response{}, nil
}
