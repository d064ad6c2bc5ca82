package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/server"
	"railyard/server/api"
)

// reader reads an event stream.
type reader struct {
	t    testing.TB
	body io.ReadCloser
	scan *bufio.Scanner
}

func (y *yard) listen(lastID string) *reader {
	y.t.Helper()
	request, _ := http.NewRequestWithContext(y.t.Context(), "GET", y.web.URL+"/stream", nil)
	request.Header.Set("Authorization", "Bearer token-viewer")
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		y.t.Fatal(err)
	}
	y.t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		y.t.Fatalf("stream: got %d %s", answer.StatusCode, answer.Header.Get("Content-Type"))
	}
	r := &reader{t: y.t, body: answer.Body, scan: bufio.NewScanner(answer.Body)}
	if !r.scan.Scan() || r.scan.Text() != "retry: 2000" {
		y.t.Fatalf("the stream begins with %q", r.scan.Text())
	}
	return r
}

// next returns the next event, and checks that its id is that of the frame.
func (r *reader) next() api.Event {
	r.t.Helper()
	var id string
	for r.scan.Scan() {
		line := r.scan.Text()
		if rest, ok := strings.CutPrefix(line, "id: "); ok {
			id = rest
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var e api.Event
			if err := json.Unmarshal([]byte(data), &e); err != nil || fmt.Sprint(e.Id) != id {
				r.t.Fatalf("frame %s %s: %v", id, data, err)
			}
			return e
		}
	}
	r.t.Fatalf("the stream ended: %v", r.scan.Err())
	return api.Event{}
}

// happen writes n events, one transaction each.
func (y *yard) happen(n int) {
	y.t.Helper()
	for range n {
		if _, err := y.store.AddRollCommand(context.Background(), roller.Command{Roll: rollID, Kind: roller.CmdBrake, At: start},
			event.Event{At: start, Actor: "person:engineer", Object: "roll/" + rollID, What: "brake_asked", Coach: coachID}); err != nil {
			y.t.Error(err)
			return
		}
	}
}

func TestTheStreamTellsEveryEventOnceAndInOrder(t *testing.T) {
	y := newYard(t)
	y.baking()
	r := y.listen("")
	go y.happen(700) // more than the tail keeps, faster than one reads
	first := r.next()
	for i := int64(1); i < 700; i++ {
		if e := r.next(); e.Id != first.Id+i {
			t.Fatalf("event %d came after %d", e.Id, first.Id+i-1)
		}
	}
}

func TestAReaderThatComesBackGetsWhatItMissed(t *testing.T) {
	y := newYard(t)
	y.baking()
	r := y.listen("")
	y.happen(1)
	last := r.next().Id
	r.body.Close()
	y.happen(600)
	r = y.listen(fmt.Sprint(last))
	for want := last + 1; want <= last+600; want++ {
		if e := r.next(); e.Id != want {
			t.Fatalf("got event %d, expected %d", e.Id, want)
		}
	}
	y.happen(1)
	if e := r.next(); e.Id != last+601 {
		t.Errorf("got event %d, expected the new one, %d", e.Id, last+601)
	}
}

func TestAStreamFromNowOnTellsNothingOld(t *testing.T) {
	y := newYard(t)
	y.baking()
	y.happen(3)
	r := y.listen("")
	y.happen(1)
	events, err := y.store.Events(t.Context(), storeNewest(1))
	if err != nil {
		t.Fatal(err)
	}
	if e := r.next(); e.Id != events[0].ID {
		t.Errorf("got event %d, expected %d", e.Id, events[0].ID)
	}
	for _, bad := range []string{"x", "-1", "9999999999999999999999"} {
		if status, _ := y.do("viewer", "GET", "/stream?after="+bad, "", nil); status != 400 {
			t.Errorf("after %q: got %d, expected 400", bad, status)
		}
	}
}

func TestAReaderThatTakesNothingHoldsUpNobody(t *testing.T) {
	y := newYard(t)
	y.baking()
	stuck, err := net.Dial("tcp", strings.TrimPrefix(y.web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	if err := stuck.(*net.TCPConn).SetReadBuffer(1024); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(stuck, "GET /stream?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-viewer\r\n\r\n")
	r := y.listen("")
	y.happen(300)
	first := r.next()
	for i := int64(1); i < 300; i++ {
		if e := r.next(); e.Id != first.Id+i {
			t.Fatalf("event %d came after %d", e.Id, first.Id+i-1)
		}
	}
}

func TestStoppingEndsStreamsAndLongPollsAtOnce(t *testing.T) {
	y := newYard(t)
	y.baking()
	r := y.listen("")
	_, before := y.coach(t, "")
	polled := make(chan int, 1)
	go func() {
		status, _ := y.coach(t, "?wait=60&than="+before.Progress)
		polled <- status
	}()
	eventually(t, func() bool { return y.server.Listeners() == 2 })
	stop, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := y.web.Config.Shutdown(stop); err != nil {
		t.Errorf("shut down: %v", err)
	}
	for r.scan.Scan() {
		if r.scan.Text() != "" {
			t.Errorf("the stream went on with %q", r.scan.Text())
		}
	}
	if status := <-polled; status != 200 {
		t.Errorf("the poll got %d, expected 200 with the Coach as it is", status)
	}
	eventually(t, func() bool { return y.server.Listeners() == 0 })
}

func (y *yard) coach(t *testing.T, query string) (int, api.Coach) {
	t.Helper()
	status, body := y.do("viewer", "GET", "/api/v1/coaches/"+coachID+query, "", nil)
	var c api.Coach
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		t.Errorf("%s: %v", body, err)
	}
	return status, c
}

func TestALongPollAnswersWhenItsCoachMoves(t *testing.T) {
	y := newYard(t)
	y.baking()
	_, before := y.coach(t, "")
	polled := make(chan api.Coach, 1)
	go func() {
		_, c := y.coach(t, "?wait=60&than="+before.Progress)
		polled <- c
	}()
	eventually(t, func() bool { return y.server.Listeners() == 1 })
	y.happen(1) // an event of the Coach that does not change how it looks
	select {
	case c := <-polled:
		t.Fatalf("it answered although nothing changed: %+v", c)
	default:
	}
	y.save(coachID, func(c *rop.Coach) { c.State, c.Verdict, c.Reason = rop.Released, "released", "released: PROD runs it" })
	c := <-polled
	if c.State != "released" || c.Progress == before.Progress {
		t.Errorf("got %s with progress %s, expected released with another one", c.State, c.Progress)
	}
	if _, again := y.coach(t, "?wait=60&than=another"); again.Progress != c.Progress {
		t.Errorf("a poll that knows another progress got %s, expected %s at once", again.Progress, c.Progress)
	}
	_, list := y.do("viewer", "GET", "/api/v1/coaches", "", nil)
	if !strings.Contains(list, c.Progress) {
		t.Errorf("the list gives another progress than the Coach, %s", c.Progress)
	}
}

// panics is a store with a mistake in it.
type panics struct{ server.Store }

func (panics) Roll(context.Context, string) (roller.Roll, error) { panic(errors.New("secret detail")) }

func TestAPanicEndsOneRequestOnly(t *testing.T) {
	y := newYard(t, func(o *server.Options) { o.Store = panics{o.Store} })
	status, body := y.do("viewer", "GET", "/api/v1/rolls/x", "", nil)
	if status != 500 || strings.Contains(body, "secret detail") || !strings.Contains(body, `"code":"internal"`) {
		t.Errorf("got %d %s, expected 500 without the detail", status, body)
	}
	var e api.Error
	if err := json.Unmarshal([]byte(body), &e); err != nil || e.Error.Request == nil {
		t.Fatalf("%s: %v", body, err)
	}
	eventually(t, func() bool {
		return strings.Contains(y.logged(), *e.Error.Request) && strings.Contains(y.logged(), "secret detail")
	})
	if status, _ := y.do("viewer", "GET", "/api/v1/events", "", nil); status != 200 {
		t.Errorf("the next request: got %d", status)
	}
}
