package rollmon_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/fleet"
	"railyard/internal/rollmon"
	"railyard/internal/verdict"
)

// fakeSource answers by name of the indicator, each after its delay, or when its time is over.
type fakeSource struct {
	name    string
	kind    func(fleet.Indicator) bool
	delay   time.Duration
	deaf    bool // does not look at its context
	reading rollmon.Reading
	panics  bool

	mu    sync.Mutex
	asked []rollmon.Request
}

func (f *fakeSource) Name() string                   { return f.name }
func (f *fakeSource) Answers(i fleet.Indicator) bool { return f.kind(i) }

func (f *fakeSource) Read(ctx context.Context, r rollmon.Request) rollmon.Reading {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	f.mu.Unlock()
	if f.panics {
		panic("index out of range")
	}
	done := ctx.Done()
	if f.deaf {
		done = nil
	}
	select {
	case <-time.After(f.delay):
		return f.reading
	case <-done:
		return rollmon.Reading{Failure: verdict.SourceDown, Reason: context.Cause(ctx).Error()}
	}
}

func isRatio(i fleet.Indicator) bool { return i.Ratio != nil }
func isValue(i fleet.Indicator) bool { return i.Value != nil }

func topology(indicators ...fleet.Indicator) *fleet.Topology {
	site := fleet.Site{Environment: "PROD", Balancer: fleet.Balancer{Driver: "haproxy", Backend: "PROD_hotel-api"},
		Servers: []fleet.Server{
			{Name: "hotel-api-1", Address: "127.0.0.1:18001", Member: "srv1", Smoke: true},
			{Name: "hotel-api-2", Address: "127.0.0.1:18002"},
		}}
	return &fleet.Topology{
		Environments: []fleet.Environment{{Name: "PROD", Production: true}},
		Pools: []fleet.Pool{
			{Name: "hotel-api", Traffic: true, Sites: []fleet.Site{site}},
			{Name: "jobws", Sites: []fleet.Site{{Environment: "PROD"}}},
		},
		Indicators: indicators,
	}
}

func question(stage string) verdict.Question {
	return verdict.Question{Site: fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}, Roll: "r-31", Stage: stage,
		Exposed: []string{"hotel-api-1"}, Control: []string{"hotel-api-2"}, Since: time.Now().Add(-20 * time.Second)}
}

func monitor(t *fleet.Topology, sources ...rollmon.Source) *rollmon.Monitor {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return rollmon.NewMonitor(func() *fleet.Topology { return t }, sources, time.Now, log)
}

func answering(s rollmon.Sample) rollmon.Reading {
	return rollmon.Reading{Servers: byServer{"hotel-api-1": s}}
}

func TestTheMonitorWaitsForEverySourceButNotForEver(t *testing.T) {
	ok, bad, heap := answering(counts(0, 400)), answering(counts(40, 400)), answering(gauge(100))
	hard, soft := ratio("5xx", true, 1), ratio("5xx", false, 1)
	for _, c := range []struct {
		rule  string
		ratio fleet.Indicator
		one   *fakeSource // reads the ratio
		other *fakeSource // reads the value
		want  verdict.Outcome
		took  time.Duration
		words string
	}{
		{"all sources are asked side by side", hard, &fakeSource{delay: time.Second, reading: ok}, &fakeSource{delay: 2 * time.Second, reading: heap},
			verdict.Pass, 2 * time.Second, "all 2 findings pass"},
		{"a hard breach does not wait for a slow source", hard, &fakeSource{delay: time.Second, reading: bad}, &fakeSource{delay: time.Hour},
			verdict.Hard, time.Second, "10 % (40 of 400)"},
		{"a hard breach does not wait for a source that hangs", hard, &fakeSource{reading: bad}, &fakeSource{delay: time.Minute, deaf: true},
			verdict.Hard, 0, "10 % (40 of 400)"},
		{"a soft breach waits, since a hard one may come", soft, &fakeSource{reading: bad}, &fakeSource{delay: 3 * time.Second, reading: heap},
			verdict.Soft, 3 * time.Second, "10 % (40 of 400)"},
		{"a source that is slower than the deadline is down", hard, &fakeSource{reading: ok}, &fakeSource{delay: time.Hour},
			verdict.SourceDown, 5 * time.Second, "did not answer within 5s"},
		{"a source that does not heed the deadline is down too", hard, &fakeSource{reading: ok}, &fakeSource{delay: time.Minute, deaf: true},
			verdict.SourceDown, 5 * time.Second, "did not answer within 5s"},
		{"a source that panics is down, and says so", hard, &fakeSource{reading: ok}, &fakeSource{panics: true},
			verdict.SourceDown, 0, "index out of range"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.one.name, c.one.kind, c.other.name, c.other.kind = "prometheus", isRatio, "zabbix", isValue
				m := monitor(topology(value("heap MB", true, 700), c.ratio), c.one, c.other)
				start := time.Now()
				v := m.Judge(t.Context(), question("baking"))
				if took := time.Since(start); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
				if v.Outcome != c.want || !strings.Contains(v.Reason, c.words) {
					t.Errorf("%s: %s, want %s with %q", v.Outcome, v.Reason, c.want, c.words)
				}
				<-time.After(2 * time.Minute) // of the bubble's clock: what came too late must find a place and end
				if len(v.Findings) != 2 {
					t.Errorf("%d findings, want one of each indicator: %+v", len(v.Findings), v.Findings)
				}
			})
		})
	}
}

func TestALookThatIsCutOffIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := &fakeSource{name: "prometheus", kind: isRatio, delay: time.Minute, deaf: true}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if v := monitor(topology(ratio("5xx", true, 1)), deaf).Judge(ctx, question("baking")); v.Outcome != verdict.Pending {
			t.Errorf("%s: %s, want pending", v.Outcome, v.Reason)
		}
		<-time.After(2 * time.Minute)
	})
}

func TestTheMonitorTellsSourcesWhatTheyNeed(t *testing.T) {
	source := &fakeSource{name: "prometheus", kind: isRatio, reading: answering(counts(0, 400))}
	q := question("baking")
	monitor(topology(ratio("5xx", true, 1)), source).Judge(t.Context(), q)
	if len(source.asked) != 1 {
		t.Fatalf("asked %d times, want once for all servers", len(source.asked))
	}
	r := source.asked[0]
	if r.Backend != "PROD_hotel-api" || !r.Since.Equal(q.Since) || r.Indicator.Name != "5xx" || r.Now.Before(q.Since) {
		t.Errorf("request %+v", r)
	}
	if r.Exposed[0] != (rollmon.Server{Name: "hotel-api-1", Member: "srv1"}) || r.Control[0] != (rollmon.Server{Name: "hotel-api-2", Member: "hotel-api-2"}) {
		t.Errorf("servers %+v and %+v", r.Exposed, r.Control)
	}
}

func TestSourcesAreAskedBehindTheWarmUpAndAboutTheTimeBeforeTheRoll(t *testing.T) {
	source := &fakeSource{name: "prometheus", kind: isRatio, reading: answering(counts(0, 400))}
	i := warm(compared(true, 1, both)[0], 5*time.Second)
	q := question("baking")
	q.Began = q.Since.Add(-time.Minute)
	m := monitor(topology(i), source)
	m.Judge(t.Context(), q)
	if r := source.asked[0]; !r.Since.Equal(q.Since.Add(5*time.Second)) || r.Before == nil || !r.Before.Until.Equal(q.Began) || r.Before.Until.Sub(r.Before.From) != 30*time.Minute {
		t.Errorf("request %+v, before %+v", r, r.Before)
	}
	q.Began = time.Time{}
	m.Judge(t.Context(), q)
	if r := source.asked[1]; r.Before != nil {
		t.Errorf("asked about %+v, although nobody knows when the roll began", r.Before)
	}
}

func TestAPlansStricterLimitsJudge(t *testing.T) {
	source := &fakeSource{name: "prometheus", kind: isRatio, reading: answering(counts(24, 400))}
	q := question("baking")
	for want, stricter := range map[verdict.Outcome][]fleet.Override{verdict.Pass: nil, verdict.Hard: {{Indicator: "5xx", Limit: new(1.0)}}} {
		q.Stricter = stricter
		if v := monitor(topology(ratio("5xx", true, 20)), source).Judge(t.Context(), q); v.Outcome != want {
			t.Errorf("%+v: %s: %s, want %s", stricter, v.Outcome, v.Reason, want)
		}
	}
}

func TestWhichIndicatorsJudge(t *testing.T) {
	smoke := ratio("5xx", true, 1)
	smoke.Stages = []string{"smoke"}
	jobs := ratio("failed jobs", true, 1)
	jobs.Pools = []string{"jobws"}
	for _, c := range []struct {
		rule      string
		stage     string
		pool      string
		indicator fleet.Indicator
		want      verdict.Outcome
		words     string
	}{
		{"counts of visitors judge where there are visitors", "baking", "hotel-api", ratio("5xx", true, 1), verdict.Pass, "0 of 400"},
		{"counts of visitors are left out of the smoke stage", "smoke", "hotel-api", ratio("5xx", true, 1), verdict.Pass, "no indicator is declared for this stage: 5xx is about visitors, and smoke servers have none"},
		{"so are ranks of what visitors saw", "smoke", "hotel-api", latency(20)[0], verdict.Pass, "p99 is about visitors, and smoke servers have none"},
		{"unless they name the stage", "smoke", "hotel-api", smoke, verdict.Pass, "0 of 400"},
		{"and of pools without traffic", "baking", "jobws", ratio("5xx", true, 1), verdict.Pass, "the pool declares no traffic"},
		{"unless they name the pool", "baking", "jobws", jobs, verdict.Pass, "0 of 400"},
		{"an indicator nobody reads is no pass", "baking", "hotel-api", check("health", true), verdict.SourceDown, "no configured source"},
		{"an unknown site is no pass", "baking", "nowhere", ratio("5xx", true, 1), verdict.NoData, "the topology has no such site"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			source := &fakeSource{name: "prometheus", kind: isRatio, reading: answering(counts(0, 400))}
			q := question(c.stage)
			q.Site.Pool = c.pool
			v := monitor(topology(c.indicator), source).Judge(t.Context(), q)
			if v.Outcome != c.want || !strings.Contains(v.Reason, c.words) {
				t.Errorf("%s: %s, want %s with %q", v.Outcome, v.Reason, c.want, c.words)
			}
			if v.At.IsZero() || v.Stage != c.stage {
				t.Errorf("the verdict does not say of what it is: %+v", v)
			}
		})
	}
}

func TestWithoutATopologyThereIsNoPass(t *testing.T) {
	if v := monitor(nil).Judge(t.Context(), question("baking")); v.Outcome != verdict.NoData || v.Reason == "" {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
}

func TestAddressesAreThoseOfTheTopology(t *testing.T) {
	find := rollmon.Addresses(func() *fleet.Topology { return topology() })
	site := fleet.SiteRef{Environment: "PROD", Pool: "hotel-api"}
	if address, ok := find(site, "hotel-api-2"); !ok || address != "127.0.0.1:18002" {
		t.Errorf("hotel-api-2 is at %q, %v", address, ok)
	}
	if _, ok := find(site, "hotel-api-9"); ok {
		t.Error("a server that is not in the topology has an address")
	}
	if _, ok := rollmon.Addresses(func() *fleet.Topology { return nil })(site, "hotel-api-2"); ok {
		t.Error("no topology has an address")
	}
}
