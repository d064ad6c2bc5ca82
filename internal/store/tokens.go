package store

import (
	"context"
	"fmt"
	"time"

	"railyard/internal/event"
	"railyard/internal/store/db"
	"railyard/pipeline"
)

// Token is a person's (or service's) access to Railyard. The token itself is never kept.
type Token struct {
	Hash    string    // SHA-256 of the token, 64 hex digits
	Person  string    // "release-engineer"
	Role    string    // an access.Role: "release-engineer"
	SBU     string    // "hotel"; "*" = every SBU
	Created time.Time //
	Expires time.Time // zero = never
	Revoked time.Time // zero = in force
}

// Valid reports whether the token opens anything at now.
func (t Token) Valid(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// AddToken keeps a token. errors.Is: pipeline.ErrConflict when its hash is known.
func (s *Store) AddToken(ctx context.Context, k Token, events ...event.Event) error {
	return s.write(ctx, fact, "add a token of "+k.Person, func(t *tx) error {
		t.events = append(t.events, events...)
		err := t.InsertToken(ctx, db.InsertTokenParams{Hash: k.Hash, Person: clean(k.Person), Role: clean(k.Role), Sbu: clean(k.SBU),
			Created: micros(k.Created), Expires: micros(k.Expires)})
		if err != nil && t.engine.unique(err) {
			err = fmt.Errorf("it is known: %w", pipeline.ErrConflict)
		}
		return err
	})
}

// TokenByHash returns a token, revoked and expired ones too: ask Valid. errors.Is: pipeline.ErrNotFound.
func (s *Store) TokenByHash(ctx context.Context, hash string) (Token, error) {
	r, err := s.read().Token(ctx, hash)
	if err != nil {
		return Token{}, fmt.Errorf("read token: %w", found(err))
	}
	return token(r), nil
}

// Tokens returns every token, oldest first.
func (s *Store) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := s.read().Tokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	tokens := make([]Token, len(rows))
	for i, r := range rows {
		tokens[i] = token(r)
	}
	return tokens, nil
}

// RevokeToken ends a token. errors.Is: pipeline.ErrNotFound when there is none in force with this hash.
func (s *Store) RevokeToken(ctx context.Context, hash string, at time.Time, events ...event.Event) error {
	return s.write(ctx, fact, "revoke a token", func(t *tx) error {
		n, err := t.RevokeToken(ctx, db.RevokeTokenParams{Revoked: micros(at), Hash: hash})
		if err == nil && n == 0 {
			err = pipeline.ErrNotFound
		}
		t.events = append(t.events, events...)
		return err
	})
}

func token(r db.Token) Token {
	return Token{Hash: r.Hash, Person: r.Person, Role: r.Role, SBU: r.Sbu, Created: moment(r.Created), Expires: moment(r.Expires),
		Revoked: moment(r.Revoked)}
}

// TokensOf are all tokens of a person, revoked and expired ones too.
func (s *Store) TokensOf(ctx context.Context, person string) (tokens []Token, err error) {
	all, err := s.Tokens(ctx)
	for _, t := range all {
		if t.Person == person {
			tokens = append(tokens, t)
		}
	}
	return tokens, err
}
