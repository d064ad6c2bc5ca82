package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"railyard/internal/access"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server/api"
)

// bearers admits requests of the API: with a bearer token, or as the anonymous role when there is no token at all. A wrong token is
// never anonymous, and a cookie does not count here, so no foreign page can make a browser change anything.
func (s *Server) bearers(c *gin.Context) {
	if err := s.admit(c, bearer(c.Request)); err != nil {
		s.fail(c, err)
	}
}

// viewers admits requests for what is looked at, by bearer token or by the cookie of the login, and authorises the look.
func (s *Server) viewers(refuse func(*gin.Context, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		token := bearer(c.Request)
		if cookie, err := c.Request.Cookie(cookieName); token == "" && err == nil {
			token = cookie.Value
		}
		err := s.admit(c, token)
		if err == nil {
			_, err = s.authorize(c.Request.Context(), access.Read, access.Object{Name: "the yard"})
		}
		if err != nil {
			refuse(c, err)
			c.Abort()
		}
	}
}

// bearer returns the request's token, "" if it has none. What is not a bearer token is returned whole: it is wrong, not absent.
func bearer(r *http.Request) string {
	value := strings.TrimSpace(r.Header.Get("Authorization"))
	if scheme, token, ok := strings.Cut(value, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return value
}

func (s *Server) admit(c *gin.Context, token string) error {
	if token == "" {
		if s.AnonymousRole == "" {
			return fmt.Errorf("%w: send a token as `Authorization: Bearer …`", errUnauthorized)
		}
		visitOf(c.Request.Context()).actor = access.Actor{Person: anonymous, Role: s.AnonymousRole}
		return nil
	}
	actor, stale, err := s.actorOf(c.Request.Context(), token)
	if err != nil {
		return err
	}
	v := visitOf(c.Request.Context())
	v.actor, v.stale = actor, stale
	return nil
}

// bounds are how long the database may take where somebody must not wait for it.
type bounds struct {
	look time.Duration // to know a token, or whose a roll is: a brake must work within seconds, also when the database hangs
	keep time.Duration // to take a fact: a code host, or a person who brakes, waits for the answer
}

var defaultBounds = bounds{look: 2 * time.Second, keep: 5 * time.Second}

// actorOf looks a token up by its hash, each time, so that a revocation counts at once. When the database does not answer, a token
// that it knew a short while ago is stale: it still brakes, see authorize.
func (s *Server) actorOf(ctx context.Context, token string) (actor access.Actor, stale bool, err error) {
	sum := sha256.Sum256([]byte(token))
	hash := hex.EncodeToString(sum[:])
	lookup, cancel := context.WithTimeout(ctx, s.bounds.look)
	defer cancel()
	row, err := s.Store.TokenByHash(lookup, hash)
	switch {
	case errors.Is(err, pipeline.ErrNotFound):
		return actor, false, fmt.Errorf("%w: the token is not known; ask an administrator for one", errUnauthorized)
	case err != nil:
		remembered, ok := s.known.get(hash, s.Now())
		if !ok {
			return actor, false, fmt.Errorf("look up the token: %w", database(err))
		}
		row, stale = remembered, true
	case row.Valid(s.Now()):
		s.known.put(row, s.Now())
	}
	if !row.Valid(s.Now()) {
		return actor, false, fmt.Errorf("%w: the token of %s has expired or was revoked; ask an administrator for a new one", errUnauthorized, row.Person)
	}
	return access.Actor{Person: row.Person, Role: access.Role(row.Role), SBU: row.SBU}, stale, nil
}

// authorize answers whether the request's actor may do the action on the object, and returns the actor. Every operation calls it once
// it knows the object and before it does anything; mustAuthorize sees to that.
func (s *Server) authorize(ctx context.Context, action access.Action, object access.Object) (access.Actor, error) {
	v := visitOf(ctx)
	if v.stale && action != access.Brake {
		return v.actor, fmt.Errorf("%s %s: %w: the database does not answer, so your token cannot be checked", action, object.Name, errUnavailable)
	}
	if err := access.Authorize(v.actor, action, object); err != nil {
		return v.actor, err
	}
	v.authorized = true
	return v.actor, nil
}

// anonymous is the person without a token.
const anonymous = "anonymous"

// mustAuthorize drops the answer of an operation that did not ask who may see it: the net under every handler of the contract. It gives
// them a context that stays theirs, see visit.
func mustAuthorize(next api.StrictHandlerFunc, operation string) api.StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) {
		response, err := next(c.Copy(), request)
		if err == nil && !visitOf(c.Request.Context()).authorized {
			return nil, fmt.Errorf("%s answered without authorisation", operation)
		}
		return response, err
	}
}

// knownTokens remembers the tokens that were valid lately, for the time without a database.
type knownTokens struct {
	mu   sync.Mutex
	rows map[string]knownToken
}

type knownToken struct {
	store.Token
	until time.Time
}

const (
	rememberTokens = 15 * time.Minute
	tokensKept     = 10_000
)

func newKnownTokens() *knownTokens { return &knownTokens{rows: map[string]knownToken{}} }

func (k *knownTokens) put(t store.Token, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.rows) >= tokensKept {
		clear(k.rows)
	}
	k.rows[t.Hash] = knownToken{t, now.Add(rememberTokens)}
}

func (k *knownTokens) get(hash string, now time.Time) (store.Token, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	row, ok := k.rows[hash]
	return row.Token, ok && now.Before(row.until)
}

// seenObjects remembers whose the rolls are that were shown lately, so that their SBU can brake them without a database.
type seenObjects struct {
	mu   sync.Mutex
	rows map[string]access.Object
}

const objectsKept = 10_000

func newSeenObjects() *seenObjects { return &seenObjects{rows: map[string]access.Object{}} }

func (o *seenObjects) put(id string, object access.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.rows) >= objectsKept {
		clear(o.rows)
	}
	o.rows[id] = object
}

// get returns the object, or one that is nobody's: only who may brake everywhere may brake that.
func (o *seenObjects) get(id string) access.Object {
	o.mu.Lock()
	defer o.mu.Unlock()
	if object, ok := o.rows[id]; ok {
		return object
	}
	return access.Object{Name: "roll/" + id}
}
