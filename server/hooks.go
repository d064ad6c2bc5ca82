package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"railyard/internal/event"
	"railyard/internal/fleet"
	"railyard/internal/scm"
	"railyard/pipeline"
)

// maxHook caps a webhook's body in bytes. The largest real pushes are a few hundred KiB; a push that is larger is still found by the
// next one, since the mirror's tip is what counts.
const maxHook = 1 << 20

// accepted is the answer to a webhook that was understood.
type accepted struct {
	Deliveries []int64 `json:"deliveries,omitempty"` // ids of the stored deliveries, one per followed branch that changed
	Ignored    string  `json:"ignored,omitempty"`    // why nothing was stored
}

// hook takes one webhook: capped, verified, parsed, looked up, stored, in this order. Only then it is answered; the work follows later.
// When the database does not take it the answer is 503, so that the code host sends it again.
func (s *Server) hook(c *gin.Context) {
	name := c.Param("provider")
	provider, ok := s.hosts[name]
	if !ok {
		s.metrics.delivery("unknown", "refused")
		s.fail(c, fmt.Errorf("/hooks/%.40s: %w: no webhook secret is configured for a code host of this name", name, errNotFound))
		return
	}
	answer, err := s.receive(c, provider)
	switch {
	case errors.Is(err, scm.ErrIgnored):
		answer, err = accepted{Ignored: err.Error()}, nil
	case err != nil:
		s.metrics.delivery(name, outcomeOf(err))
		s.fail(c, err)
		return
	}
	if answer.Ignored != "" {
		s.metrics.delivery(name, "ignored")
	} else {
		s.metrics.delivery(name, "stored")
		s.Kick.Delivery()
	}
	c.JSON(http.StatusAccepted, answer)
}

func outcomeOf(err error) string {
	if k, _ := kindOf(err); k.status >= http.StatusInternalServerError {
		return "failed"
	}
	return "refused"
}

func (s *Server) receive(c *gin.Context, provider scm.Provider) (accepted, error) {
	body, err := scm.ReadBody(http.MaxBytesReader(c.Writer, c.Request.Body, maxHook), maxHook)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return accepted{}, fmt.Errorf("a webhook may have %d bytes: %w", large.Limit, scm.ErrTooLarge)
		}
		return accepted{}, invalid(err)
	}
	push, err := scm.Receive(provider, c.Request.Header, body, []byte(s.Secrets[provider.Name()]))
	if err != nil {
		return accepted{}, err
	}
	t := s.Topology()
	if t == nil {
		t = &fleet.Topology{}
	}
	if _, ok := t.Repository(push.Repo); !ok {
		return accepted{}, fmt.Errorf("repository %.200q: %w: the topology in force does not name it; add it under repositories", push.Repo, errNotFound)
	}
	return s.keep(c.Request.Context(), provider.Name(), push, t)
}

// keep stores one delivery for each followed branch that changed.
func (s *Server) keep(ctx context.Context, provider string, push scm.Push, t *fleet.Topology) (accepted, error) {
	ctx, cancel := context.WithTimeout(ctx, s.bounds.keep)
	defer cancel()
	var answer accepted
	for _, change := range push.Changes {
		if change.RefKind != scm.Branch || !t.Follows(push.Repo, change.Name) {
			continue
		}
		d := pipeline.Delivery{
			Provider: provider, Key: deliveryKey(push.DeliveryID, change.Ref), Repository: push.Repo, Branch: change.Name,
			After: change.After, Pusher: push.Pusher, At: s.now(),
		}
		id, _, err := s.Store.SaveDelivery(ctx, d, received(d))
		if err != nil {
			return accepted{}, database(err)
		}
		answer.Deliveries = append(answer.Deliveries, id)
	}
	if len(answer.Deliveries) == 0 {
		answer.Ignored = fmt.Sprintf("no release branch of %s changed", push.Repo)
	}
	return answer, nil
}

func received(d pipeline.Delivery) event.Event {
	after, by := "gone", ""
	if d.After != "" {
		after = "at " + d.After[:min(8, len(d.After))]
	}
	if d.Pusher != "" {
		by = " by " + d.Pusher
	}
	return event.Event{
		At: d.At, Actor: "service:" + d.Provider, Object: fit("branch/" + d.Repository + "/" + d.Branch), What: "push_received",
		Why: fmt.Sprintf("%s is %s%s", d.Branch, after, by),
	}
}

// keyWidth is how many characters the store keeps of a delivery's key, and of an event's object.
const keyWidth = 255

// fit cuts a name to what the store keeps.
func fit(name string) string {
	if utf8.RuneCountInString(name) <= keyWidth {
		return name
	}
	return string([]rune(name)[:keyWidth-1]) + "…"
}

// deliveryKey names a delivery of one branch. A host that sends no id cannot repeat a delivery recognisably, so each of its deliveries is
// a new one: looking at a branch twice is harmless, missing a push is not.
func deliveryKey(id, ref string) string {
	if id == "" {
		id = rand.Text()
	}
	key := id + " " + ref
	if utf8.RuneCountInString(key) <= keyWidth {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
