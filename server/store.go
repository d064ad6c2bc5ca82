package server

import (
	"context"
	"io"
	"time"

	"railyard/internal/ar"
	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/rollmon"
	"railyard/internal/rop"
	"railyard/internal/store"
	"railyard/internal/verdict"
	"railyard/pipeline"
)

// Store is all the service reads and keeps in SQL. internal/store implements it. Its errors satisfy pipeline.ErrNotFound,
// pipeline.ErrConflict, store.ErrDuplicate, store.ErrFinished and store.ErrTooLong by errors.Is; any other means that the
// database could not do it.
type Store interface {
	deliveries
	orders
	views
	eventLog
	tokens
	trains
	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
}

// deliveries keeps accepted webhooks. A known provider and key changes nothing.
type deliveries interface {
	SaveDelivery(ctx context.Context, d pipeline.Delivery, events ...event.Event) (id int64, duplicate bool, err error)
}

// orders keeps what people and builds say, with the events that tell of it, until a worker reads it.
type orders interface {
	BeginBuild(ctx context.Context, deployment, buildKey string, b pipeline.Begun, at time.Time, events ...event.Event) error
	PublishPackage(ctx context.Context, p pipeline.Package, events ...event.Event) error
	AddApproval(ctx context.Context, coach string, a rop.Approval, events ...event.Event) error
	AddCoachCommand(ctx context.Context, c pipeline.Command, events ...event.Event) (id int64, err error)
	AddRollCommand(ctx context.Context, c roller.Command, events ...event.Event) (id int64, err error)
	// AddHeldRoll keeps a roll and takes its site's lock for it, so that nothing comes between its plan and its start.
	AddHeldRoll(ctx context.Context, r roller.Roll, ttl time.Duration, events ...event.Event) error
	// AddTestVerdict keeps what a person said of a Coach.
	AddTestVerdict(ctx context.Context, e verdict.Entered, events ...event.Event) error
	ClearBar(ctx context.Context, site fleet.SiteRef, revision, actor, why string, at time.Time, events ...event.Event) error
}

// views reads what is shown.
type views interface {
	Coach(ctx context.Context, id string) (rop.Coach, error)
	Coaches(ctx context.Context, f store.CoachFilter, limit int) ([]rop.Coach, error)
	// Facts is what the worker decides about a Coach by.
	Facts(ctx context.Context, c rop.Coach) (pipeline.Facts, error)
	// Bookings are those whose time is not over.
	Bookings(ctx context.Context, now time.Time) ([]rop.Booked, error)
	CoachOfDeployment(ctx context.Context, deployment string) (rop.Coach, error)
	Roll(ctx context.Context, id string) (roller.Roll, error)
	Rolls(ctx context.Context, f store.RollFilter, limit int) ([]roller.Roll, error)
	RollsOfCoach(ctx context.Context, coach string) ([]roller.Roll, error)
	SiteStates(ctx context.Context) ([]store.SiteState, error)
	// Belief is what is believed of one site, and Drifts what the last audits found to differ.
	Belief(ctx context.Context, site fleet.SiteRef) (roller.Belief, error)
	Drifts(ctx context.Context) (map[fleet.SiteRef][]roller.Difference, error)
	Bars(ctx context.Context, site fleet.SiteRef, cleared bool) ([]store.Bar, error)
	// Looks are the kept looks at a roll, newest first; TestVerdicts is what people said of a Coach, oldest first.
	Looks(ctx context.Context, roll string, limit int) ([]rollmon.Look, error)
	TestVerdicts(ctx context.Context, coach string) ([]verdict.Entered, error)
	CurrentTopology(ctx context.Context) (store.Topology, error)
}

// trains keeps Trains, who sits in them, and what people said about freezes.
type trains interface {
	CreateTrain(ctx context.Context, t pipeline.Train, told func(pipeline.Train) event.Event) (pipeline.Train, error)
	Train(ctx context.Context, id string) (pipeline.Train, error)
	Trains(ctx context.Context, f store.TrainFilter, limit int) ([]pipeline.Train, error)
	Couple(ctx context.Context, seat pipeline.Seat, events ...event.Event) error
	Uncouple(ctx context.Context, coach, train string, events ...event.Event) error
	AddTrainCommand(ctx context.Context, c pipeline.TrainCommand, events ...event.Event) (id int64, err error)
	TrainFacts(ctx context.Context, t pipeline.Train) (pipeline.TrainFacts, error)
	Facts(ctx context.Context, c rop.Coach) (pipeline.Facts, error)
	Picture(ctx context.Context, now time.Time) (pipeline.Picture, error)
	AddOverride(ctx context.Context, o ar.Override, events ...event.Event) error
	Overrides(ctx context.Context, object string) ([]ar.Override, error)
	// Durations is how long the last completed rolls of a site took, and Before what each site would return to.
	Durations(ctx context.Context, sites []fleet.SiteRef) (pipeline.History, error)
	Before(ctx context.Context, environment string) (ar.Running, error)
}

// eventLog is the log that pages and long polls follow.
type eventLog interface {
	Events(ctx context.Context, f store.EventFilter) ([]event.Event, error)
	// Changed returns a channel that is closed at the next commit of this process.
	Changed() <-chan struct{}
}

// tokens finds access tokens by their SHA-256, revoked and expired ones too.
type tokens interface {
	TokenByHash(ctx context.Context, hash string) (store.Token, error)
	// TokensOf are all tokens of a person, revoked and expired ones too.
	TokensOf(ctx context.Context, person string) ([]store.Token, error)
}

// Packages keeps the bytes of packages; internal/packages implements it. errors.Is: packages.ErrTooLarge.
type Packages interface {
	Put(ctx context.Context, r io.Reader, maxBytes int64) (digest string, size int64, err error)
	Open(ctx context.Context, digest string) (r io.ReadCloser, size int64, err error)
}

// readPatience bounds a read that no request waits for; those have bounds of their own, see patience.
const readPatience = 5 * time.Second
