package server_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"railyard/internal/event"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server"
)

const (
	hashA = "1111111111111111111111111111111111111111"
	hashB = "2222222222222222222222222222222222222222"
)

// delivery is a good webhook of the generic form; cases deviate from it.
type delivery struct {
	host, secret, id, body string
	header                 map[string]string
}

func good() delivery {
	return delivery{host: "generic", secret: "s3cret", id: "push-1", body: pushOf("hotel/hotel-api", "refs/heads/release/1.4")}
}

func pushOf(repository string, refs ...string) string {
	var changes []map[string]string
	for _, ref := range refs {
		changes = append(changes, map[string]string{"old": hashA, "new": hashB, "ref": ref})
	}
	body, _ := json.Marshal(map[string]any{"repository": repository, "pusher": "wang.fang", "changes": changes})
	return string(body)
}

func (d delivery) send(t *testing.T, y *yard) reply {
	t.Helper()
	request := y.request(http.MethodPost, "/hooks/"+d.host, strings.NewReader(d.body))
	if d.secret != "" {
		mac := hmac.New(sha256.New, []byte(d.secret))
		mac.Write([]byte(d.body))
		request.Header.Set("X-Railyard-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	if d.id != "" {
		request.Header.Set("X-Railyard-Delivery", d.id)
		request.Header.Set("X-GitHub-Delivery", d.id)
	}
	for name, value := range d.header {
		request.Header.Set(name, value)
	}
	return y.ask(request)
}

func TestHooks(t *testing.T) {
	cases := []struct {
		rule   string
		change func(*delivery)
		status int
		says   string // part of the body
		stored int
	}{
		{"a push to a release branch is stored, then accepted", func(*delivery) {}, 202, `{"deliveries":[`, 1},
		{"each followed branch that changed is a delivery of its own", func(d *delivery) {
			d.body = pushOf("hotel/hotel-api", "refs/heads/release/1.4", "refs/heads/release/1.5", "refs/heads/main", "refs/tags/v1")
		}, 202, `{"deliveries":[`, 2},
		{"GitHub's push is understood", func(d *delivery) {
			d.host, d.header = "github", map[string]string{"X-GitHub-Event": "push"}
			d.body = `{"ref":"refs/heads/release/1.4","before":"` + hashA + `","after":"` + hashB + `","repository":{"full_name":"hotel/hotel-api"}}`
		}, 202, `{"deliveries":[`, 1},
		{"GitHub's ping is ignored", func(d *delivery) {
			d.host, d.header, d.body = "github", map[string]string{"X-GitHub-Event": "ping"}, `{"zen":"hello"}`
		}, 202, `"ignored":"`, 0},
		{"a branch that is not followed is ignored", func(d *delivery) { d.body = pushOf("hotel/hotel-api", "refs/heads/main") }, 202, `"ignored":"no release branch of hotel/hotel-api changed"`, 0},
		{"a tag is ignored", func(d *delivery) { d.body = pushOf("hotel/hotel-api", "refs/tags/release/1.4") }, 202, `"ignored":"`, 0},
		{"a wrong signature is refused", func(d *delivery) { d.secret = "guess" }, 401, `"code":"unauthorized"`, 0},
		{"a missing signature is refused", func(d *delivery) { d.secret = "" }, 401, `"code":"unauthorized"`, 0},
		{"a signature that is no hexadecimal is refused", func(d *delivery) {
			d.header = map[string]string{"X-Railyard-Signature": "sha256=zzz"}
		}, 401, `"code":"unauthorized"`, 0},
		{"what is not signed is not parsed", func(d *delivery) { d.secret, d.body = "guess", "{" }, 401, `"code":"unauthorized"`, 0},
		{"whether a repository is known is told only to who signs", func(d *delivery) {
			d.secret, d.body = "guess", pushOf("hotel/secret", "refs/heads/release/1.4")
		}, 401, `"code":"unauthorized"`, 0},
		{"a malformed body is refused", func(d *delivery) { d.body = `{"repository": 7}` }, 400, `"code":"invalid"`, 0},
		{"a push without its repository is refused", func(d *delivery) { d.body = pushOf("", "refs/heads/release/1.4") }, 400, `"code":"invalid"`, 0},
		{"a hash that is none is refused", func(d *delivery) { d.body = strings.ReplaceAll(d.body, hashB, "main") }, 400, `"code":"invalid"`, 0},
		{"an unknown repository is not found", func(d *delivery) { d.body = pushOf("hotel/other", "refs/heads/release/1.4") }, 404, `hotel/other`, 0},
		{"an oversized body is refused", func(d *delivery) { d.body += strings.Repeat(" ", 1<<20) }, 413, `"code":"too_large"`, 0},
		{"a code host without a secret has no address", func(d *delivery) { d.host = "gitlab" }, 404, `no webhook secret`, 0},
		{"an unknown code host has no address", func(d *delivery) { d.host = "nobody" }, 404, `"code":"not_found"`, 0},
		{"a branch name too long to keep is refused", func(d *delivery) {
			d.body = pushOf("hotel/hotel-api", "refs/heads/release/"+strings.Repeat("x", 300))
		}, 400, `the branch has 308 characters`, 0},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			y := newYard(t)
			d := good()
			c.change(&d)
			answer := d.send(t, y)
			if answer.status != c.status || !strings.Contains(answer.body, c.says) {
				t.Errorf("got %d %s, expected %d and %s", answer.status, answer.body, c.status, c.says)
			}
			if got := len(y.pending()); got != c.stored {
				t.Errorf("%d deliveries are stored, expected %d", got, c.stored)
			}
			if woken := slices.Contains(y.kicks(), "delivery"); woken != (c.stored > 0) {
				t.Errorf("worker woken: %v, with %d stored", woken, c.stored)
			}
		})
	}
}

func (y *yard) pending() []pipeline.Delivery {
	y.t.Helper()
	rows, err := y.store.PendingDeliveries(context.Background(), start, 100)
	if err != nil {
		y.t.Fatal(err)
	}
	return rows
}

func TestADeliveryThatComesTwiceIsStoredOnce(t *testing.T) {
	y := newYard(t)
	first, second := good().ids(t, y), good().ids(t, y)
	if !slices.Equal(first, second) {
		t.Errorf("the second answer names %v, expected the stored %v", second, first)
	}
	if rows := y.pending(); len(rows) != 1 || rows[0].Branch != "release/1.4" || rows[0].After != hashB || rows[0].Pusher != "wang.fang" {
		t.Errorf("stored: %+v", rows)
	}
	events, err := y.store.Events(t.Context(), store.EventFilter{})
	if err != nil || len(events) != 1 || events[0].What != "push_received" {
		t.Errorf("events: %+v, %v; expected one of the push", events, err)
	}
}

func TestADeliveryWithoutAnIDIsNeverTakenForAnotherOne(t *testing.T) {
	y := newYard(t)
	d := good()
	d.id = ""
	d.ids(t, y)
	d.ids(t, y)
	if rows := y.pending(); len(rows) != 2 {
		t.Errorf("%d stored, expected 2: a branch may go forth and back", len(rows))
	}
}

func (d delivery) ids(t *testing.T, y *yard) []int64 {
	t.Helper()
	answer := d.send(t, y)
	var body struct{ Deliveries []int64 }
	if err := json.Unmarshal([]byte(answer.body), &body); err != nil || answer.status != http.StatusAccepted {
		t.Fatalf("got %d %s, %v", answer.status, answer.body, err)
	}
	return body.Deliveries
}

// broken is a database that does not take anything any more.
type broken struct {
	server.Store
	down *bool
}

var errDown = errors.New("dial tcp 10.0.0.7:3306: connection refused")

func (b broken) SaveDelivery(ctx context.Context, d pipeline.Delivery, events ...event.Event) (int64, bool, error) {
	if *b.down {
		return 0, false, errDown
	}
	return b.Store.SaveDelivery(ctx, d, events...)
}

func TestAPushWhileTheDatabaseIsDownIsToBeSentAgain(t *testing.T) {
	down := true
	y := newYard(t, func(o *server.Options) { o.Store = broken{o.Store, &down} })
	answer := good().send(t, y)
	if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" {
		t.Errorf("got %d, Retry-After %q; expected 503 with it", answer.status, answer.header.Get("Retry-After"))
	}
	if strings.Contains(answer.body, "10.0.0.7") {
		t.Errorf("the answer tells what is inside: %s", answer.body)
	}
	if len(y.kicks()) != 0 {
		t.Errorf("woken without anything stored: %v", y.kicks())
	}
	down = false
	if ids := good().ids(t, y); len(ids) != 1 {
		t.Errorf("the second try stored %v", ids)
	}
}
