package pipeline

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
	"railyard/internal/rop"
)

// oneController is the poller's view of one real client.
type oneController struct {
	Jenkins
	client *jenkins.Controller
}

func (o oneController) Poll(ctx context.Context, _ string, asks []Ask) (map[string]BuildFact, error) {
	var jobs []string
	for _, a := range asks {
		jobs = append(jobs, a.Job)
	}
	slices.Sort(jobs)
	builds, err := o.client.Poll(ctx, slices.Compact(jobs))
	facts := map[string]BuildFact{}
	for _, b := range builds {
		facts[b.Deployment] = BuildFact{Known: true, Number: b.Number, Running: b.Building, Done: b.Done(), Result: b.Result}
	}
	return facts, err
}

// TestAThousandBuildsAreFollowedWithTwoRequestsASecond runs in virtual time: a
// thousand builds of 91 jobs in 13 folders, on a controller that takes 200 ms for
// every answer.
func TestAThousandBuildsAreFollowedWithTwoRequestsASecond(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const builds, perSecond, known = 1000, 2, 3 * time.Second
		var mu sync.Mutex
		var requests []time.Time
		ended := map[string]time.Time{} // deployment → when its build ended
		memory := jenkinstest.NewMemory()
		s, err := jenkinstest.Start(jenkinstest.Options{
			Dir: dir, Listen: memory.Listen,
			Engine: jenkinstest.EngineFunc(func(ctx context.Context, r *jenkinstest.Run) jenkinstest.Result {
				select {
				case <-time.After(4*time.Second + time.Duration(len(r.Env["SPREAD"]))*60*time.Millisecond):
				case <-ctx.Done():
				}
				mu.Lock()
				defer mu.Unlock()
				ended[r.Env["RAILYARD_DEPLOYMENT"]] = time.Now()
				return jenkinstest.Success
			}),
			Middleware: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet {
						mu.Lock()
						requests = append(requests, time.Now())
						mu.Unlock()
						time.Sleep(200 * time.Millisecond)
					}
					next.ServeHTTP(w, r)
				})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		log := logrus.New()
		log.SetOutput(t.Output())
		client, err := jenkins.New(jenkins.Config{Name: "main", URL: s.URL, User: "admin", Token: "admin-token", Dial: memory.Dial}, log)
		if err != nil {
			t.Fatal(err)
		}
		p := &poller{
			jenkins: oneController{client: client}, log: log, kick: func(string) {},
			follows: map[string]follow{}, facts: map[string]BuildFact{}, busy: map[string]bool{},
		}
		c := rop.Coach{ID: "all"}
		for i := range builds {
			// One job has a hundred builds, the others ten each.
			job := fmt.Sprintf("sbu%d/app%d/deliver", i%13, i%90)
			if i >= 900 {
				job = "sbu0/busy/deliver"
			}
			c.Builds = append(c.Builds, rop.Build{Deployment: fmt.Sprintf("d%d", i), Controller: "main", Job: job, State: rop.BuildRunning})
		}
		startAll(t, s, memory, c.Builds)
		p.follow(c.ID, c.Builds)
		synctest.Wait()
		mu.Lock()
		requests = nil
		mu.Unlock()

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = p.run(ctx) }()
		late, open := 0, builds
		for deadline := time.Now().Add(time.Minute); open > 0 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			open = 0
			facts := p.known(c.Builds)
			mu.Lock()
			for i, b := range c.Builds {
				if facts[b.Deployment].Done {
					c.Builds[i].State = rop.BuildFailed // whatever: it is not followed any more
				}
				if c.Builds[i].State == rop.BuildFailed {
					continue
				}
				open++
				if at, over := ended[b.Deployment]; over && time.Since(at) > known {
					late++
				}
			}
			mu.Unlock()
			p.follow(c.ID, c.Builds)
		}
		cancel()
		if open > 0 {
			t.Errorf("%d builds have no result", open)
		}
		if late > 0 {
			t.Errorf("results were not known %v after the end of their build, %d times", known, late)
		}
		checkRate(t, requests, perSecond)
	})
}

// startAll triggers the builds as a plugin of Jenkins would, without our client.
func startAll(t *testing.T, s *jenkinstest.Server, memory *jenkinstest.Memory, builds []rop.Build) {
	t.Helper()
	plain := &http.Client{Transport: &http.Transport{DialContext: memory.Dial}}
	defer plain.CloseIdleConnections()
	made := map[string]bool{}
	for i, b := range builds {
		if !made[b.Job] {
			made[b.Job] = true
			if err := s.CreateJob(b.Job, []byte(followedJob)); err != nil {
				t.Fatal(err)
			}
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("%s/job/%s/buildWithParameters?RAILYARD_DEPLOYMENT=%s&SPREAD=%0*d",
			s.URL, strings.ReplaceAll(b.Job, "/", "/job/"), b.Deployment, i%100+1, 0), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("admin", "admin-token")
		res, err := plain.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusCreated {
			t.Fatalf("trigger = %s", res.Status)
		}
	}
}

// checkRate looks at every window of ten seconds.
func checkRate(t *testing.T, requests []time.Time, perSecond int) {
	t.Helper()
	const window = 10 * time.Second
	most := 0
	for i, from := range requests {
		n := 0
		for _, at := range requests[i:] {
			if at.Sub(from) < window {
				n++
			}
		}
		most = max(most, n)
	}
	if limit := perSecond * int(window/time.Second); most > limit || most == 0 {
		t.Errorf("%d requests in %v, want at most %d and some", most, window, limit)
	}
	t.Logf("at most %d requests in %v", most, window)
}

const followedJob = `<flow-definition><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>
<hudson.model.StringParameterDefinition><name>RAILYARD_DEPLOYMENT</name></hudson.model.StringParameterDefinition>
<hudson.model.StringParameterDefinition><name>SPREAD</name></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>
<definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>x</script></definition></flow-definition>`
