//go:build linux

package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"railyard/internal/demo/apps"
	"railyard/internal/demo/yard"
)

const nothing = "0000000000000000000000000000000000000000" // what a branch was before its first push

// delivery is a webhook of the generic provider.
type delivery struct {
	key        string // of the delivery
	repository string
	ref        string
	old, new   string
	body       string // instead of what the fields say
	secret     string // "" = the right one
}

// send sends a delivery and returns the answer's status and the ids of what was stored.
func (y *town) send(t *testing.T, d delivery) (status int, stored []int64) {
	t.Helper()
	body := d.body
	if body == "" {
		body = fmt.Sprintf(`{"repository":%q,"pusher":"li","changes":[{"old":%q,"new":%q,"ref":%q}]}`, d.repository, d.old, d.new, d.ref)
	}
	secret := []byte(d.secret)
	if d.secret == "" {
		text, err := os.ReadFile(y.HookSecretFile())
		must(t, err)
		secret = bytes.TrimSpace(text)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(body))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, y.URL+"/hooks/generic", strings.NewReader(body))
	must(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Railyard-Delivery", d.key)
	request.Header.Set("X-Railyard-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer answer.Body.Close()
	var accepted struct{ Deliveries []int64 }
	if answer.StatusCode == http.StatusAccepted {
		must(t, json.NewDecoder(answer.Body).Decode(&accepted))
	}
	return answer.StatusCode, accepted.Deliveries
}

// processed waits until a stored delivery was taken in, and returns what became of it.
func (y *town) processed(t *testing.T, id int64) (why string) {
	t.Helper()
	eventually(t, fmt.Sprintf("delivery %d", id), func() (string, bool) {
		for _, e := range y.events(t, fmt.Sprintf("delivery/%d", id)) {
			if e.What == "delivery_processed" {
				why = e.Why
				return "", true
			}
		}
		return "not processed", false
	})
	return why
}

// withoutHook makes a push of which the code host says nothing.
func (y *town) withoutHook(t *testing.T, app string) (commit string) {
	t.Helper()
	hook := filepath.Join(y.Dir, "git", "repositories", yard.Repository(app)+".git", "hooks", "post-receive")
	must(t, os.Rename(hook, hook+".off"))
	defer func() { must(t, os.Rename(hook+".off", hook)) }()
	return y.push(t, app, change{})
}

func deliveries(t *testing.T, y *town) {
	before := len(y.coaches(t, apps.JobWS))
	one := y.withoutHook(t, apps.JobWS)
	two := y.withoutHook(t, apps.JobWS)
	older := delivery{key: "older", repository: yard.Repository(apps.JobWS), ref: "refs/heads/" + branch, old: nothing, new: one}
	newer := older
	newer.key, newer.old, newer.new = "newer", one, two

	var stored []int64
	for _, d := range []delivery{newer, older, newer} { // out of order, and the newer one twice
		status, ids := y.send(t, d)
		if status != http.StatusAccepted || len(ids) != 1 {
			t.Fatalf("delivery %s: status %d, %d stored; expected 202 and one", d.key, status, len(ids))
		}
		stored = append(stored, ids...)
	}
	if stored[0] != stored[2] {
		t.Errorf("the same delivery was stored twice, as %d and %d", stored[0], stored[2])
	}
	c := y.coachOf(t, apps.JobWS, two)
	for _, id := range stored {
		y.processed(t, id)
	}
	y.ends(t, c.Id, "released")
	late := older
	late.key = "late"
	_, ids := y.send(t, late)
	if why := y.processed(t, ids[0]); !strings.Contains(why, "nothing new") {
		t.Errorf("a delivery of a commit that is long known became %q, expected nothing new", why)
	}
	if n := len(y.coaches(t, apps.JobWS)) - before; n != 1 {
		t.Errorf("two pushes told of four times made %d Coaches, expected one, of the branch's tip", n)
	}
	y.builtOnce(t, c)
}

func refusedDeliveries(t *testing.T, y *town) {
	coaches, builds := len(y.coaches(t, apps.JobWS)), len(y.builds(t, apps.JobWS))
	good := delivery{repository: yard.Repository(apps.JobWS), ref: "refs/heads/" + branch, old: nothing, new: strings.Repeat("7", 40)}
	cases := []struct {
		rule   string
		deform func(d *delivery)
		status int
	}{
		{"a branch that is not followed is accepted and ignored", func(d *delivery) { d.ref = "refs/heads/main" }, http.StatusAccepted},
		{"a tag is accepted and ignored", func(d *delivery) { d.ref = "refs/tags/release/1.0" }, http.StatusAccepted},
		{"a wrong signature", func(d *delivery) { d.secret = "guessed" }, http.StatusUnauthorized},
		{"a wrong signature of a malformed body", func(d *delivery) { d.secret, d.body = "guessed", "{" }, http.StatusUnauthorized},
		{"an oversized body", func(d *delivery) { d.body = strings.Repeat(" ", 2<<20) }, http.StatusRequestEntityTooLarge},
		{"a malformed body", func(d *delivery) { d.body = `{"repository":` }, http.StatusBadRequest},
		{"a malformed commit", func(d *delivery) { d.new = "HEAD" }, http.StatusBadRequest},
		{"an unknown repository", func(d *delivery) { d.repository = "hotel/unknown" }, http.StatusNotFound},
	}
	for _, c := range cases {
		d := good
		d.key = c.rule
		c.deform(&d)
		if status, stored := y.send(t, d); status != c.status || len(stored) > 0 {
			t.Errorf("%s: status %d, %d stored; expected %d and nothing", c.rule, status, len(stored), c.status)
		}
	}
	if n := len(y.coaches(t, apps.JobWS)) - coaches; n != 0 {
		t.Errorf("%d new Coaches, expected none", n)
	}
	if n := len(y.builds(t, apps.JobWS)) - builds; n != 0 {
		t.Errorf("%d new builds, expected none", n)
	}
}
