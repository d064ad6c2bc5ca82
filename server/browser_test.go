package server_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"railyard/internal/event"
	"railyard/internal/roller"
	"railyard/internal/rop"
	"railyard/server"
)

// browse opens a real browser, which ends with the test. It fails the test when a page has an error or breaks its own policy.
func browse(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("headless", "new"), chromedp.Flag("disable-background-networking", true), chromedp.UserDataDir(t.TempDir()))
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	chromedp.ListenTarget(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page threw: %s", e.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError {
				t.Errorf("the page complains: %v", e.Args)
			}
		}
	})
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// signIn goes through the login form.
func (y *yard) signIn(who, path string) chromedp.Action {
	return chromedp.Tasks{
		chromedp.Navigate(y.web.URL + path),
		chromedp.WaitVisible("#token"),
		chromedp.SendKeys("#token", "token-"+who),
		chromedp.Submit("#token"),
		chromedp.WaitVisible("#link.on"),
	}
}

// reads waits until an element's text holds what is expected.
func reads(selector, text string) chromedp.Action {
	return chromedp.Poll(`(s, t) => document.querySelector(s)?.textContent.includes(t)`, nil,
		chromedp.WithPollingArgs(selector, text), chromedp.WithPollingTimeout(15*time.Second))
}

func TestThePageStaysTrueWithoutAReload(t *testing.T) {
	y := newYard(t)
	y.baking()
	ctx := browse(t)
	step := func(what string, actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	step("sign in", y.signIn("viewer", "/"), chromedp.Evaluate(`window.sameWindow = true`, nil))
	step("the smoke server bakes", reads("#server-hotel-api-1 .rotation", "25%"), reads("#server-hotel-api-1 .runs", "1.4.2"))
	step("the next server is in", reads("#server-hotel-api-2 .rotation", "in"))

	y.show(func(l *server.SiteLook) {
		l.Members["hotel-api-2"] = roller.Member{Weight: 0, Up: true}
		l.Members["hotel-api-3"] = roller.Member{Weight: 100, Up: false}
	})
	step("a server is pulled out, and nobody wrote an event", reads("#server-hotel-api-2 .rotation", "out"), reads("#server-hotel-api-3 .rotation", "down"))

	y.pause("soft breach: 5xx 1.8 % on hotel-api-1")
	step("the roll waits for a person, in words", reads("#roll-"+rollID+" .pause", "5xx 1.8 %"), reads("#site-PROD-hotel-api .pause", "5xx 1.8 %"))
	step("the log tells it", reads("#log .events", "paused"))

	y.save(coachID, func(c *rop.Coach) { c.State, c.Reason = rop.RolledBack, "rolled back: hard breach" })
	step("the Coach ended", reads("#recent #coach-"+coachID, "rolled back: hard breach"))

	var same bool
	step("it is still the same window", chromedp.Evaluate(`window.sameWindow === true`, &same))
	if !same {
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
	ctx := browse(t)
	for _, path := range []string{"/", "/coaches/" + coachID} {
		var wide, seen float64
		err := chromedp.Run(ctx, chromedp.EmulateViewport(390, 844),
			chromedp.ActionFunc(func(ctx context.Context) error {
				return chromedp.Navigate(y.web.URL + path).Do(ctx)
			}),
			signedIn(y, path), chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide), chromedp.Evaluate(`window.innerWidth`, &seen))
		if err != nil {
			t.Fatal(err)
		}
		if wide > seen {
			t.Errorf("%s is %v wide on a screen of %v", path, wide, seen)
		}
	}
	screenshots(t, y, ctx)
}

func signedIn(y *yard, path string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var at string
		if err := chromedp.Location(&at).Do(ctx); err != nil {
			return err
		}
		if strings.Contains(at, "/login") {
			return y.signIn("viewer", path).Do(ctx)
		}
		return chromedp.WaitVisible("#link.on").Do(ctx)
	})
}

// screenshots draws the pages into the directory that RAILYARD_SCREENSHOTS names, for people who change their looks.
func screenshots(t *testing.T, y *yard, ctx context.Context) {
	t.Helper()
	dir := os.Getenv("RAILYARD_SCREENSHOTS")
	if dir == "" {
		return
	}
	for name, path := range map[string]string{"yard": "/", "coach": "/coaches/" + coachID, "zh": "/?lang=zh", "login": "/login?lang=en"} {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{390, 1400} {
				var image []byte
				err := chromedp.Run(ctx, chromedp.EmulateViewport(width, 900),
					emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
					chromedp.Navigate(y.web.URL+path), chromedp.WaitVisible("main"), chromedp.FullScreenshot(&image, 100))
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(dir, name+"-"+scheme+"-"+map[int64]string{390: "phone", 1400: "desk"}[width]+".png")
				if err := os.WriteFile(file, image, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
