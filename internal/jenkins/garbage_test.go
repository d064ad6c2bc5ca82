package jenkins_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// garbage is JSON with the names that Jenkins uses and anything for values.
func garbage(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any](-1), rapid.Just[any](1e300), rapid.Just[any](""),
		rapid.Just[any]("RAILYARD_DEPLOYMENT"), rapid.Just[any]("d1"), rapid.Just[any]("SUCCESS"), rapid.Just[any]("://%zz"),
	)
	if depth == 0 {
		return leaf
	}
	names := rapid.SampledFrom([]string{
		"_class", "items", "task", "url", "actions", "parameters", "name", "value", "allBuilds", "jobs", "fullName", "number", "queueId",
		"building", "result", "buildable", "property", "parameterDefinitions", "executable", "cancelled", "id", "inputs", "definition", "choices", "keepLog",
	})
	inner := garbage(depth - 1)
	return rapid.OneOf(leaf,
		rapid.Map(rapid.MapOfN(names, inner, 0, 8), func(m map[string]any) any { return m }),
		rapid.Map(rapid.SliceOfN(inner, 0, 3), func(l []any) any { return l }))
}

// TestWhateverJenkinsAnswersNoCallPanicsOrHangs: gojenkins does both in places.
func TestWhateverJenkinsAnswersNoCallPanicsOrHangs(t *testing.T) {
	type reply struct {
		status int
		header map[string]string
		body   []byte
	}
	var now atomic.Pointer[reply]
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r := now.Load()
		for name, value := range r.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(r.status)
		_, _ = w.Write(r.body)
	}))
	defer srv.Close()
	ctl := client(t, srv.URL, "u", "t")
	ctl.SetSettle(0)
	rapid.Check(t, func(t *rapid.T) {
		body, err := json.Marshal(garbage(4).Draw(t, "body"))
		if err != nil {
			t.Fatal(err)
		}
		r := &reply{
			status: rapid.SampledFrom([]int{200, 201, 204, 302, 303, 400, 401, 403, 404, 409, 500, 503}).Draw(t, "status"),
			header: map[string]string{
				"Content-Type": rapid.SampledFrom([]string{"application/json", "text/html", "application/xml", "", "%%"}).Draw(t, "type"),
				"Location":     rapid.SampledFrom([]string{"", "/queue/item/7/", "/queue/item/-7/", "::", "/login"}).Draw(t, "location"),
				"X-Text-Size":  rapid.SampledFrom([]string{"", "0", "-1", "99999999999999999999"}).Draw(t, "size"),
			},
		}
		if r.status != http.StatusNoContent {
			r.body = body
		}
		now.Store(r)
		for name, call := range everyCall {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			_ = call(ctx, ctl) // whatever it says
			if ctx.Err() != nil {
				t.Fatalf("%s hangs", name)
			}
			cancel()
		}
	})
}
