package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"railyard/internal/access"
	"railyard/internal/event"
	"railyard/internal/store"
	"railyard/internal/yamlfile"
)

// tokenID is how many digits of a token's hash name it in lists and commands.
const tokenID = 12

func newToken() *cobra.Command {
	var database string
	cmd := group("token", "Create, list and revoke tokens, directly on the database",
		`Works directly on the service's database, so that the first token can be made before anybody has one. A SQLite file is used
by one process at a time: while the service runs on it, list tokens under tokens: in the service's configuration instead.

Give a database address that holds a password as RAILYARD_DATABASE, not as a flag, which every user of the machine can see.`)
	cmd.PersistentFlags().StringVar(&database, "database", "", `the database, such as "sqlite:/var/lib/railyard/railyard.db" (default $RAILYARD_DATABASE)`)
	cmd.AddCommand(newTokenCreate(&database), newTokenList(&database), newTokenRevoke(&database))
	return cmd
}

func newTokenCreate(database *string) *cobra.Command {
	var (
		person, role, sbu string
		lifetime          time.Duration
	)
	cmd := &cobra.Command{
		Use: "create --person P --role R [--sbu S]", Short: "Create a token and print it once",
		Long: `Creates a token and prints it, once: the database keeps only its SHA-256. The roles developer, tester and release-engineer
are bound to one business unit (--sbu; * is every one).`,
		Example: `  railyard token create --person li.wei --role release-engineer --sbu hotel --database sqlite:/var/lib/railyard/railyard.db`,
		Args:    cobra.NoArgs, Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			row, secret, err := newTokenRow(person, role, sbu, lifetime, time.Now())
			if err != nil {
				return err
			}
			return withStore(cmd, *database, true, func(ctx context.Context, s *store.Store) error {
				why := fmt.Sprintf("%s gets a token as %s of %s", row.Person, row.Role, row.SBU)
				if err := s.AddToken(ctx, row, tokenEvent(row, "token_created", why, row.Created)); err != nil {
					return err
				}
				cmd.PrintErrf("token %s: %s; it is shown only this time\n", row.Hash[:tokenID], why)
				cmd.Println(secret)
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&person, "person", "", "the person or service that will use it")
	flags.StringVar(&role, "role", "", "one of "+roleNames())
	flags.StringVar(&sbu, "sbu", "", "the business unit it is bound to; * = every one")
	flags.DurationVar(&lifetime, "lifetime", 0, "how long it is valid, such as 720h (default: until it is revoked)")
	_ = cmd.MarkFlagRequired("person")
	_ = cmd.MarkFlagRequired("role")
	return cmd
}

func roleNames() string {
	var names []string
	for _, r := range access.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// newTokenRow makes a token: what is stored, and the secret, which is not.
func newTokenRow(person, role, sbu string, lifetime time.Duration, now time.Time) (row store.Token, secret string, err error) {
	if !slices.Contains(access.Roles(), access.Role(role)) {
		return row, "", usagef("--role: unknown role %q; %s", role, yamlfile.Choose(role, strings.Split(roleNames(), ", ")))
	}
	if strings.TrimSpace(person) == "" {
		return row, "", usagef("--person: name who will use the token")
	}
	if lifetime < 0 {
		return row, "", usagef("--lifetime: a token cannot end before it begins")
	}
	if sbu == "" {
		switch access.Role(role) {
		case access.Developer, access.Tester, access.ReleaseEngineer:
			return row, "", usagef("--sbu: a %s is bound to a business unit; name it, or give --sbu '*' for every one", role)
		}
		sbu = "*"
	}
	secret = "ry_" + base64.RawURLEncoding.EncodeToString(random(32))
	row = store.Token{Hash: hashOf(secret), Person: person, Role: role, SBU: sbu, Created: now.UTC()}
	if lifetime > 0 {
		row.Expires = row.Created.Add(lifetime)
	}
	return row, secret, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// hashOf is how the service recognises a token.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func newTokenList(database *string) *cobra.Command {
	var out format
	cmd := &cobra.Command{
		Use: "list", Short: "List tokens, oldest first", Example: "  railyard token list --database sqlite:/var/lib/railyard/railyard.db",
		Args: cobra.NoArgs, Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, *database, false, func(ctx context.Context, s *store.Store) error {
				tokens, err := s.Tokens(ctx)
				if err != nil {
					return err
				}
				return out.print(cmd.OutOrStdout(), shownTokens(tokens, time.Now()), func(t *rows) {
					t.add("TOKEN", "PERSON", "ROLE", "SBU", "CREATED", "STATE")
					for _, k := range shownTokens(tokens, time.Now()) {
						t.add(k.Token, k.Person, k.Role, k.SBU, when(k.Created), k.State)
					}
				})
			})
		},
	}
	out.bind(cmd)
	return cmd
}

// shownToken is a token as list prints it.
type shownToken struct {
	Token   string    `json:"token"` // "3f2a09c1b7de": what revoke takes
	Person  string    `json:"person"`
	Role    string    `json:"role"`
	SBU     string    `json:"sbu"`
	Created time.Time `json:"created"`
	Valid   bool      `json:"valid"`
	State   string    `json:"state"` // "valid until 2026-05-01 12:00:00"
}

func shownTokens(tokens []store.Token, now time.Time) []shownToken {
	shown := []shownToken{}
	for _, k := range tokens {
		state := "valid"
		switch {
		case !k.Revoked.IsZero():
			state = "revoked " + when(k.Revoked)
		case !k.Valid(now):
			state = "expired " + when(k.Expires)
		case !k.Expires.IsZero():
			state = "valid until " + when(k.Expires)
		}
		shown = append(shown, shownToken{k.Hash[:tokenID], k.Person, k.Role, k.SBU, k.Created, k.Valid(now), state})
	}
	return shown
}

func newTokenRevoke(database *string) *cobra.Command {
	return &cobra.Command{
		Use: "revoke TOKEN", Short: "End a token at once", Long: "Ends a token at once. TOKEN is what railyard token list shows; the token itself is not needed.",
		Example: "  railyard token revoke 3f2a09c1b7de --database sqlite:/var/lib/railyard/railyard.db", Args: cobra.ExactArgs(1), Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, *database, false, func(ctx context.Context, s *store.Store) error {
				tokens, err := s.Tokens(ctx)
				if err != nil {
					return err
				}
				row, err := oneToken(tokens, args[0])
				if err != nil {
					return err
				}
				now := time.Now().UTC()
				if err := s.RevokeToken(ctx, row.Hash, now, tokenEvent(row, "token_revoked", "the token of "+row.Person+" is revoked", now)); err != nil {
					return err
				}
				cmd.Printf("token %s of %s is revoked\n", row.Hash[:tokenID], row.Person)
				return nil
			})
		},
	}
}

// oneToken finds the token in force whose hash begins with id.
func oneToken(tokens []store.Token, id string) (store.Token, error) {
	if strings.HasPrefix(id, "ry_") {
		id = hashOf(id)
	}
	var found []store.Token
	for _, k := range tokens {
		if k.Revoked.IsZero() && len(id) >= 8 && strings.HasPrefix(k.Hash, id) {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return store.Token{}, fmt.Errorf("%d tokens in force begin with %.12s; expected one, as railyard token list shows it", len(found), id)
	}
	return found[0], nil
}

// tokenEvent is the log's row for what was done to a token. The actor is the machine's user, who has the database at hand.
func tokenEvent(row store.Token, what, why string, at time.Time) event.Event {
	actor := "console"
	if u, err := user.Current(); err == nil {
		actor += ":" + u.Username
	}
	return event.Event{At: at, Actor: actor, Object: "token/" + row.Hash[:tokenID], What: what, Why: why}
}

// withStore opens the database for one thing. Only create makes a database that is not there yet.
func withStore(cmd *cobra.Command, dsn string, create bool, do func(context.Context, *store.Store) error) error {
	dsn = firstOf(dsn, os.Getenv("RAILYARD_DATABASE"))
	if dsn == "" {
		return usagef(`which database? Give --database, such as "sqlite:/var/lib/railyard/railyard.db", or RAILYARD_DATABASE`)
	}
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok && !create {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) { //nolint:gosec // the caller's own file
			return fmt.Errorf("there is no database %s; correct --database", path)
		}
	}
	s, err := store.Open(cmd.Context(), dsn, quietLog(cmd.ErrOrStderr()))
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w; or list the token under tokens: in the service's configuration, which needs no access to the database", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(do(cmd.Context(), s), s.Close())
}
