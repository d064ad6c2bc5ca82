package server_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/server"
)

// browser is a real one, which ends with the test.
type browser struct {
	t   *testing.T
	ctx context.Context
}

// browse opens a browser. The test fails when a page throws, or does what its own policy forbids.
func browse(t *testing.T) browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.UserDataDir(t.TempDir()))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	heard := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-heard
	})
	messages := chromedp.Console(ctx)
	go func() {
		defer close(heard)
		for m, err := range messages {
			if err == nil && (m.IsException() || m.Type == "error") {
				t.Errorf("the page complains: %s", m)
			}
		}
	}()
	return browser{t, ctx}
}

// do runs steps that may take half a minute.
func (b browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx); err != nil { // opens the browser, whose life must not be bound by the timeout
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// ask evaluates an expression on the page.
func ask[T any](b browser, expression string) T {
	b.t.Helper()
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return got
}

type void = chromedp.Void

// signIn goes through the login form to a page that is live.
func (b browser) signIn(y *yard, who, path string) {
	b.t.Helper()
	b.do("sign in", chromedp.Navigate(y.web.URL+path), chromedp.WaitVisible("#token"), chromedp.SendKeys("#token", "token-"+who),
		chromedp.Submit("#token"), chromedp.WaitVisible("#link.on"))
}

// reads waits until an element's text holds what is expected.
func reads(selector, text string) chromedp.Action[void] {
	return chromedp.PollFunction[void](`(s, t) => document.querySelector(s)?.textContent.includes(t)`,
		chromedp.WithPollingArgs(selector, text), chromedp.WithPollingTimeout(15*time.Second))
}

func TestThePageStaysTrueWithoutAReload(t *testing.T) {
	y := newYard(t)
	y.baking()
	b := browse(t)
	b.signIn(y, "viewer", "/")
	ask[bool](b, `window.sameWindow = true`)
	b.do("the smoke server bakes", reads("#server-hotel-api-1 .rotation", "25%"), reads("#server-hotel-api-1 .runs", "1.4.2"))
	b.do("the next server is in", reads("#server-hotel-api-2 .rotation", "in"))

	y.show(func(l *server.SiteLook) {
		l.Members["hotel-api-2"] = roller.Member{Weight: 0, Up: true}
		l.Members["hotel-api-3"] = roller.Member{Weight: 100, Up: false}
	})
	b.do("a server is pulled out, and nobody wrote an event", reads("#server-hotel-api-2 .rotation", "out"), reads("#server-hotel-api-3 .rotation", "down"))

	y.pause("soft breach: 5xx 1.8 % on hotel-api-1")
	b.do("the roll waits for a person, in words", reads(`[id="roll-`+rollID+`"] .pause`, "5xx 1.8 %"), reads("#site-PROD-hotel-api .pause", "5xx 1.8 %"))
	b.do("the log tells it", reads("#log .events", "paused"))

	y.save(coachID, func(c *rop.Coach) { c.State, c.Reason = rop.RolledBack, "rolled back: hard breach" })
	b.do("the Coach ended", reads(`#recent [id="coach-`+coachID+`"]`, "rolled back: hard breach"))

	if !ask[bool](b, `window.sameWindow === true`) {
		t.Error("the page was loaded anew")
	}
}

// pause stores the roll as one that waits for a person.
func (y *yard) pause(why string) {
	y.t.Helper()
	ctx := context.Background()
	claims, err := y.store.ClaimRolls(ctx, "test", start, time.Hour)
	if err != nil || len(claims) != 1 {
		y.t.Fatalf("claim the roll: %v, %v", claims, err)
	}
	r := claims[0].Roll
	r.Pause = &roller.Pause{Cause: roller.CauseSoft, Reason: why, By: event.Railyard, Since: y.now()}
	err = y.store.SaveRoll(ctx, claims[0], roller.Save{Roll: r, Events: []event.Event{{
		At: y.now(), Actor: event.Railyard, Object: "roll/" + r.ID, Coach: r.Coach, What: "paused", Why: why,
	}}})
	if err != nil {
		y.t.Fatal(err)
	}
}

func TestThePageFitsAPhone(t *testing.T) {
	y := newYard(t)
	y.baking()
	y.pause("soft breach: 5xx 1.8 % on hotel-api-1, which is " + strings.Repeat("very-", 30) + "long")
	b := browse(t)
	b.do("take a phone", chromedp.EmulateViewport(390, 844))
	b.signIn(y, "viewer", "/")
	for _, path := range []string{"/", "/coaches/" + coachID, "/?lang=zh"} {
		b.do("open "+path, chromedp.Navigate(y.web.URL+path), chromedp.WaitVisible("#link.on"))
		if wide := ask[float64](b, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s is %v wide on a screen of 390", path, wide)
		}
	}
	b.screenshots(y)
}

// screenshots draws the pages into the directory that RAILYARD_SCREENSHOTS names, for people who change their looks.
func (b browser) screenshots(y *yard) {
	b.t.Helper()
	dir := os.Getenv("RAILYARD_SCREENSHOTS")
	if dir == "" {
		return
	}
	for name, path := range map[string]string{"yard": "/?lang=en", "coach": "/coaches/" + coachID + "?lang=en", "zh": "/?lang=zh", "login": "/login?lang=en"} {
		for _, scheme := range []string{"light", "dark"} {
			for screen, width := range map[string]int64{"phone": 390, "desk": 1400} {
				b.do("draw "+name, chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
					return t.Call(ctx, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
				}), chromedp.Navigate(y.web.URL+path), chromedp.WaitVisible(chromedp.CSS("main")))
				image, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
				if err != nil {
					b.t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name+"-"+scheme+"-"+screen+".png"), image, 0o644); err != nil {
					b.t.Fatal(err)
				}
			}
		}
	}
}

func TestTheGraphOfATrainIsDrawnAndFollowsIt(t *testing.T) {
	y := newYard(t)
	y.baking()
	y.addTrain()
	y.couple(coachID)
	b := browse(t)
	b.signIn(y, "viewer", "/trains/"+trainID)
	b.do("the pool is a box of the graph", reads("#stop-PROD-hotel-api .pool", "hotel-api"), reads("#stop-PROD-hotel-api", "1.4.2"))
	if width := ask[float64](b, `document.querySelector("#stop-PROD-hotel-api rect").getBoundingClientRect().width`); width < 50 {
		t.Errorf("the box is %v pixels wide", width)
	}
	y.uncouple(coachID)
	b.do("who leaves is gone from it", reads(".problem", "no Coach is coupled"))
}
