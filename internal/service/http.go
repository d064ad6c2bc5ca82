package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"railyard/internal/fleet"
	"railyard/internal/roller"
	"railyard/internal/store"
	"railyard/server"
)

func (s *Service) makeServer() error {
	secrets := map[string]string{}
	for name, reference := range s.config.Hooks {
		secret, err := reference.Resolve()
		if err != nil {
			return fmt.Errorf("hooks.%s: %w", name, err)
		}
		secrets[name] = secret
	}
	tokens, err := newKnownTokens(s.store, s.config.Tokens)
	if err != nil {
		return err
	}
	handler, err := server.New(server.Options{
		Store: tokens, Packages: s.packages, Topology: s.topology.get, ApplyTopology: s.applyTopology, Look: s.look, Survey: s.survey,
		Kick: server.Kick{
			Coach: s.worker.Kick, Roll: s.runner.Kick, Brake: s.runner.Brake, // a stored push is news, which wakes the worker
		},
		Pressed: buttons{s.jenkins, s.config.Jenkins}.pressed, Secrets: secrets, AnonymousRole: s.config.AnonymousRole, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.http = server.NewHTTP(handler.Handler())
	return nil
}

func (s *Service) applyTopology(ctx context.Context, actor, text string) error {
	return s.topology.apply(ctx, "topology", actor, []byte(text))
}

// look reads a site through its drivers, for whoever looks at it.
func (s *Service) look(ctx context.Context, ref fleet.SiteRef) server.SiteLook {
	site, err := s.sites.OpenSite(ref)
	if err != nil {
		return server.SiteLook{Problem: err.Error()}
	}
	return server.LookAt(ctx, site)
}

// survey asks a site and all its servers anew.
func (s *Service) survey(ctx context.Context, ref fleet.SiteRef) (roller.Survey, error) {
	site, err := s.sites.OpenSite(ref)
	if err != nil {
		return roller.Survey{}, err
	}
	return s.surveyor.Look(ctx, site)
}

// knownTokens is the store with the configuration's tokens in front of its own.
type knownTokens struct {
	*store.Store
	byHash map[string]store.Token
}

func newKnownTokens(s *store.Store, configured []Token) (*knownTokens, error) {
	k := &knownTokens{Store: s, byHash: map[string]store.Token{}}
	for _, t := range configured {
		secret, err := t.Token.Resolve()
		if err != nil {
			return nil, fmt.Errorf("token of %s: %w", t.Person, err)
		}
		sum := sha256.Sum256([]byte(secret))
		hash := hex.EncodeToString(sum[:])
		k.byHash[hash] = store.Token{Hash: hash, Person: t.Person, Role: string(t.Role), SBU: t.SBU}
	}
	return k, nil
}

// TokenByHash implements server.Store.
func (k *knownTokens) TokenByHash(ctx context.Context, hash string) (store.Token, error) {
	if t, ok := k.byHash[hash]; ok {
		return t, nil
	}
	return k.Store.TokenByHash(ctx, hash)
}
