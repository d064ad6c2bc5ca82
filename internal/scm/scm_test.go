package scm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func sum(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// signatures are, per provider, the header and the value that prove knowledge of the secret "s3cret" for the body "body".
var signatures = map[string][2]string{
	"generic":          {"X-Railyard-Signature", "sha256=" + sum("body", "s3cret")},
	"github":           {"X-Hub-Signature-256", "sha256=" + sum("body", "s3cret")},
	"gitea":            {"X-Gitea-Signature", sum("body", "s3cret")},
	"gogs":             {"X-Gogs-Signature", sum("body", "s3cret")},
	"gitlab":           {"X-Gitlab-Token", "s3cret"},
	"bitbucket-cloud":  {"X-Hub-Signature", "sha256=" + sum("body", "s3cret")},
	"bitbucket-server": {"X-Hub-Signature", "sha256=" + sum("body", "s3cret")},
}

func TestVerifyOfEveryProvider(t *testing.T) {
	for name, p := range Providers() {
		sig, ok := signatures[name]
		if !ok {
			t.Errorf("provider %s has no case in this test", name)
		}
		header := func(value string) http.Header {
			h := http.Header{}
			h.Set(sig[0], value)
			return h
		}
		cases := []struct {
			rule   string
			header http.Header
			body   string
			secret string
			want   error
		}{
			{"the right signature passes", header(sig[1]), "body", "s3cret", nil},
			{"an empty secret never passes", header(sig[1]), "body", "", ErrNoSecret},
			{"an empty secret never passes, signed with the empty secret",
				header(strings.Replace(sig[1], sum("body", "s3cret"), sum("body", ""), 1)), "body", "", ErrNoSecret},
			{"no signature never passes", http.Header{}, "body", "s3cret", ErrBadSignature},
			{"an empty signature never passes", header(""), "body", "s3cret", ErrBadSignature},
			{"a cut signature never passes", header(sig[1][:len(sig[1])-2]), "body", "s3cret", ErrBadSignature},
			{"a signature of another secret never passes", header(sig[1]), "body", "other", ErrBadSignature},
			{"a signature that is no hexadecimal never passes", header(sig[1][:len(sig[1])-1] + "z"), "body", "s3cret", ErrBadSignature},
		}
		for _, c := range cases {
			t.Run(name+"/"+c.rule, func(t *testing.T) {
				if err := p.Verify(c.header, []byte(c.body), []byte(c.secret)); !errors.Is(err, c.want) {
					t.Errorf("err = %v, want %v", err, c.want)
				}
			})
		}
	}
}

func TestReceiveVerifiesBeforeItParses(t *testing.T) {
	_, err := Receive(github{}, http.Header{"X-Github-Event": {"push"}}, []byte("{not json"), []byte("s3cret"))
	if !errors.Is(err, ErrBadSignature) || errors.Is(err, ErrMalformed) {
		t.Errorf("unsigned garbage: err = %v, want ErrBadSignature only", err)
	}
	h := http.Header{}
	h.Set("X-GitHub-Event", "push")
	h.Set("X-Hub-Signature-256", "sha256="+sum("{not json", "s3cret"))
	if _, err = Receive(github{}, h, []byte("{not json"), []byte("s3cret")); !errors.Is(err, ErrMalformed) {
		t.Errorf("signed garbage: err = %v, want ErrMalformed", err)
	}
}

func TestErrorsDoNotTellTheSecret(t *testing.T) {
	for name, p := range Providers() {
		h := http.Header{}
		h.Set(signatures[name][0], "wrong")
		if err := p.Verify(h, []byte("body"), []byte("s3cret")); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

func TestParseGeneric(t *testing.T) {
	const a, b = "a10867b14bb761a232cd80139fbd4c0d33264240", "199EDDF46DF50DE8D02E99BF1C5FDB4101338224"
	zero, sha256Hash := strings.Repeat("0", 40), strings.Repeat("ab", 32)
	one := func(old, new, ref string) string {
		return `{"repository":"hotel/hotel-api","pusher":"alice","changes":[{"old":"` + old + `","new":"` + new + `","ref":"` + ref + `"}]}`
	}
	cases := []struct {
		rule, body string
		want       Change
		err        error
	}{
		{"a moved branch", one(a, b, "refs/heads/release/1.2"), Change{Ref: "refs/heads/release/1.2", RefKind: Branch,
			Name: "release/1.2", Before: a, After: strings.ToLower(b), Commit: strings.ToLower(b)}, nil},
		{"a new branch has no before", one(zero, a, "refs/heads/x"), Change{Ref: "refs/heads/x", RefKind: Branch, Name: "x",
			After: a, Commit: a, Created: true}, nil},
		{"a deleted branch has no after", one(a, zero, "refs/heads/x"), Change{Ref: "refs/heads/x", RefKind: Branch, Name: "x",
			Before: a, Deleted: true}, nil},
		{"a tag may be an object of its own", one(zero, a, "refs/tags/v1"), Change{Ref: "refs/tags/v1", RefKind: Tag, Name: "v1",
			After: a, Created: true}, nil},
		{"SHA-256 repositories", one(strings.Repeat("0", 64), sha256Hash, "refs/heads/x"), Change{Ref: "refs/heads/x",
			RefKind: Branch, Name: "x", After: sha256Hash, Commit: sha256Hash, Created: true}, nil},
		{"other refs are told as such", one(a, b, "refs/notes/commits"), Change{Ref: "refs/notes/commits", RefKind: Other,
			Name: "notes/commits", Before: a, After: strings.ToLower(b)}, nil},
		{"a short hash is malformed", one(a, "199edd", "refs/heads/x"), Change{}, ErrMalformed},
		{"a short zero is malformed", one(a, "000", "refs/heads/x"), Change{}, ErrMalformed},
		{"a branch without refs/heads is malformed", one(a, b, "master"), Change{}, ErrMalformed},
		{"a ref that climbs is malformed", one(a, b, "refs/heads/../../x"), Change{}, ErrMalformed},
		{"a ref with a control character is malformed", one(a, b, `refs/heads/a\u0007`), Change{}, ErrMalformed},
		{"neither old nor new is malformed", one(zero, zero, "refs/heads/x"), Change{}, ErrMalformed},
		{"no repository is malformed", `{"changes":[{}]}`, Change{}, ErrMalformed},
		{"no change is ignored", `{"repository":"a/b","changes":[]}`, Change{}, ErrIgnored},
		{"another type is malformed", `{"repository":7}`, Change{}, ErrMalformed},
		{"an empty body is malformed", ``, Change{}, ErrMalformed},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			push, err := generic{}.Parse(http.Header{"X-Railyard-Delivery": {"d1"}}, []byte(c.body))
			if !errors.Is(err, c.err) {
				t.Fatalf("err = %v, want %v", err, c.err)
			}
			if c.err != nil {
				return
			}
			want := Push{Repo: "hotel/hotel-api", Pusher: "alice", DeliveryID: "d1", Changes: []Change{c.want}}
			if diff := cmp.Diff(want, push); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseReadsFormDeliveries(t *testing.T) {
	body, err := os.ReadFile(filepath.Join(payloads, "github/push-1.json"))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set("X-GitHub-Event", "push")
	plain, err := github{}.Parse(h, body)
	if err != nil {
		t.Fatal(err)
	}
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	form, err := github{}.Parse(h, []byte(url.Values{"payload": {string(body)}}.Encode()))
	if diff := cmp.Diff(plain, form); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := (github{}).Parse(h, []byte("other=1")); !errors.Is(err, ErrMalformed) {
		t.Errorf("form without payload: err = %v, want ErrMalformed", err)
	}
}

func TestDeliveryIDComesFromTheHost(t *testing.T) {
	for provider, c := range map[string]struct{ file, event, value, idHeader string }{
		"github":           {"github/push-1.json", "X-GitHub-Event", "push", "X-GitHub-Delivery"},
		"gitea":            {"gitea/push-1.json", "X-Gitea-Event", "push", "X-Gitea-Delivery"},
		"gogs":             {"gogs/push-1.json", "X-Gogs-Event", "push", "X-Gogs-Delivery"},
		"gitlab":           {"gitlab/push-1.json", "X-Gitlab-Event", "Push Hook", "X-Gitlab-Event-UUID"},
		"bitbucket-cloud":  {"bitbucket-cloud/push-1.json", "X-Event-Key", "repo:push", "X-Request-UUID"},
		"bitbucket-server": {"bitbucket-server/push-1.json", "X-Event-Key", "repo:refs_changed", "X-Request-Id"},
	} {
		body, err := os.ReadFile(filepath.Join(payloads, c.file))
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		h.Set(c.event, c.value)
		h.Set(c.idHeader, "d-42")
		push, err := Providers()[provider].Parse(h, body)
		if err != nil || push.DeliveryID != "d-42" || push.Pusher == "" {
			t.Errorf("%s: delivery %q by %q, %v", provider, push.DeliveryID, push.Pusher, err)
		}
	}
}

func TestReadBodyRefusesMoreThanTheCap(t *testing.T) {
	if b, err := ReadBody(strings.NewReader("12345"), 5); err != nil || string(b) != "12345" {
		t.Errorf("at the cap: %q, %v", b, err)
	}
	if _, err := ReadBody(strings.NewReader("123456"), 5); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the cap: err = %v, want ErrTooLarge", err)
	}
}

// checkTotal is the promise that Verify and Parse make about any input: no panic, and a Push that a consumer can rely on.
func checkTotal(t interface{ Fatalf(string, ...any) }, p Provider, header http.Header, body, secret []byte) {
	if err := p.Verify(header, body, secret); err != nil && !errors.Is(err, ErrBadSignature) && !errors.Is(err, ErrNoSecret) {
		t.Fatalf("%s: Verify: %v", p.Name(), err)
	}
	push, err := p.Parse(header, body)
	if err != nil {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrIgnored) {
			t.Fatalf("%s: Parse: %v", p.Name(), err)
		}
		return
	}
	if push.Repo == "" || len(push.Changes) == 0 {
		t.Fatalf("%s: Parse passed %+v", p.Name(), push)
	}
	for _, c := range push.Changes {
		hashes := (c.Before == "" || isHash(c.Before)) && (c.After == "" || isHash(c.After)) && (c.Commit == "" || isHash(c.Commit))
		if !hashes || !strings.HasPrefix(c.Ref, "refs/") || c.Name == "" || c.Created && c.Deleted ||
			c.Forced && (c.Created || c.Deleted) || c.Deleted && c.After != "" || c.Created && c.Before != "" {
			t.Fatalf("%s: Parse passed %+v", p.Name(), c)
		}
	}
}

// everyEvent makes a header that each provider takes for a push.
func everyEvent(event string) http.Header {
	h := http.Header{}
	for _, name := range []string{"X-GitHub-Event", "X-Gitea-Event", "X-Gogs-Event"} {
		h.Set(name, event)
	}
	h.Set("X-Gitlab-Event", map[string]string{"push": "Push Hook", "create": "System Hook"}[event])
	h.Set("X-Event-Key", map[string]string{"push": "repo:push", "create": "repo:refs_changed"}[event])
	return h
}

// TestNoBytesBreakAProvider damages recorded payloads at random: whatever comes is refused or read, never a panic.
func TestNoBytesBreakAProvider(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(payloads, "*", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		body, err := os.ReadFile(rapid.SampledFrom(files).Draw(t, "file"))
		if err != nil {
			t.Fatalf("%v", err)
		}
		for range rapid.IntRange(0, 4).Draw(t, "damages") {
			at := rapid.IntRange(0, len(body)).Draw(t, "at")
			end := min(len(body), at+rapid.IntRange(0, 60).Draw(t, "cut"))
			insert := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 0, 20),
				rapid.Map(rapid.SampledFrom([]string{"null", "[]", "{}", `""`, "-1", `"refs/"`, "[[[[", `\u0000`}),
					func(s string) []byte { return []byte(s) })).Draw(t, "insert")
			body = append(append(append([]byte{}, body[:at]...), insert...), body[end:]...)
		}
		h := everyEvent(rapid.SampledFrom([]string{"push", "create", "delete"}).Draw(t, "event"))
		for _, p := range Providers() {
			checkTotal(t, p, h, body, []byte("s3cret"))
		}
	})
}

func FuzzProviders(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join(payloads, "*", "push-1.json"))
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("push", "sha256=00", body)
		f.Add("create", "", body)
	}
	f.Fuzz(func(t *testing.T, event, signature string, body []byte) {
		h := everyEvent(event)
		for _, sig := range signatures {
			h.Set(sig[0], signature)
		}
		for _, p := range Providers() {
			checkTotal(t, p, h, body, []byte("s3cret"))
		}
	})
}
