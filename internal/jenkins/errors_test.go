package jenkins_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"railyard/internal/jenkins"
	"railyard/internal/jenkins/jenkinstest"
)

// everyCall is every operation of the client, for rules that hold for all.
var everyCall = map[string]func(context.Context, *jenkins.Controller) error{
	"Version": func(ctx context.Context, c *jenkins.Controller) error { _, err := c.Version(ctx); return err },
	"Trigger": func(ctx context.Context, c *jenkins.Controller) error {
		_, err := c.Trigger(ctx, job, map[string]string{jenkins.DeploymentParam: "d1"})
		return err
	},
	"Find": func(ctx context.Context, c *jenkins.Controller) error {
		_, err := c.Find(ctx, jenkins.Ask{Job: job, Deployment: "d1"})
		return err
	},
	"Poll": func(ctx context.Context, c *jenkins.Controller) error {
		_, err := c.Poll(ctx, []string{job})
		return err
	},
	"Poll of many": func(ctx context.Context, c *jenkins.Controller) error {
		_, err := c.Poll(ctx, []string{job, "a/b/x", "a/y", "z"})
		return err
	},
	"Describe": func(ctx context.Context, c *jenkins.Controller) error { return c.Describe(ctx, job, 1, "x") },
	"Stop":     func(ctx context.Context, c *jenkins.Controller) error { return c.Stop(ctx, job, 1) },
	"Cancel":   func(ctx context.Context, c *jenkins.Controller) error { return c.Cancel(ctx, 1) },
	"Log": func(ctx context.Context, c *jenkins.Controller) error {
		_, _, _, err := c.Log(ctx, job, 1, 0)
		return err
	},
	"Inputs": func(ctx context.Context, c *jenkins.Controller) error {
		_, err := c.Inputs(ctx, job, 1)
		return err
	},
	"Proceed": func(ctx context.Context, c *jenkins.Controller) error {
		return c.Proceed(ctx, job, 1, "Deploy", nil)
	},
	"Reject": func(ctx context.Context, c *jenkins.Controller) error { return c.Reject(ctx, job, 1, "Deploy") },
	"Rename": func(ctx context.Context, c *jenkins.Controller) error { return c.Rename(ctx, job, 1, "x") },
	"Keep":   func(ctx context.Context, c *jenkins.Controller) error { return c.Keep(ctx, job, 1, true) },
	"Config": func(ctx context.Context, c *jenkins.Controller) error {
		_, err := c.Config(ctx, jenkins.Item{Name: job})
		return err
	},
	"Config of a view": func(ctx context.Context, c *jenkins.Controller) error {
		_, err := c.Config(ctx, jenkins.Item{Name: "v", View: true})
		return err
	},
	"Create": func(ctx context.Context, c *jenkins.Controller) error {
		return c.Create(ctx, jenkins.Item{Name: job}, jobXML("true"))
	},
	"Create a view": func(ctx context.Context, c *jenkins.Controller) error {
		return c.Create(ctx, jenkins.Item{Name: "v", View: true}, []byte("<hudson.model.ListView/>"))
	},
	"Update": func(ctx context.Context, c *jenkins.Controller) error {
		return c.Update(ctx, jenkins.Item{Name: job}, jobXML("true"))
	},
	"EnsureJob": func(ctx context.Context, c *jenkins.Controller) error {
		_, err := c.EnsureJob(ctx, job, jobXML("true"))
		return err
	},
}

func TestEveryCallTellsWhyItFailed(t *testing.T) {
	page := func(status int, header http.Header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range header {
				w.Header()[k] = v
			}
			w.Header().Set("Content-Type", "text/html;charset=utf-8")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	}
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"items":[`))
		_ = http.NewResponseController(w).Flush()
		cut(w, r)
	}
	reads := []string{"Trigger", "Find", "Poll"}
	cases := []struct {
		name    string
		answer  http.HandlerFunc
		want    error
		says    string
		refusal bool
		only    []string // calls it applies to; all when nil
	}{
		{"503 while starting is unreachable", page(503, nil, "<h1>Please wait while Jenkins is getting ready to work</h1>"),
			jenkins.ErrUnreachable, "getting ready to work", false, nil},
		{"a proxy's 502 is unreachable", page(502, nil, "bad gateway"), jenkins.ErrUnreachable, "502", false, nil},
		{"a connection that is cut is unreachable", cut, jenkins.ErrUnreachable, "", false, nil},
		{"an answer that breaks off is unreachable", half, jenkins.ErrUnreachable, "broke off", false, reads},
		{"401 names the credentials", page(401, http.Header{"Www-Authenticate": {`Basic realm="Jenkins"`}}, ""),
			jenkins.ErrUnauthorized, "check the user name and API token", true, nil},
		{"a redirect to a login page is unauthorized", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://sso.example.org/login?from=x", http.StatusFound)
		}, jenkins.ErrUnauthorized, "API token", true, nil},
		{"a redirect to https names the controller's URL", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusFound)
		}, jenkins.ErrNotJenkins, "correct the controller's URL", false, nil},
		{"HTML where JSON should be is not Jenkins", page(200, nil, "<html>maintenance</html>"),
			jenkins.ErrNotJenkins, "check the controller's URL", false, nil},
		{"an empty answer is not an empty queue", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
		}, jenkins.ErrNotJenkins, "empty", false, reads},
		{"JSON of something else is not an empty queue", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"status":"ok"}`))
		}, jenkins.ErrNotJenkins, "items", false, []string{"Find", "Poll"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(c.answer)
			defer srv.Close()
			ctl := client(t, srv.URL, "railyard", "t0ken-never-shown")
			for name, call := range everyCall {
				if c.only != nil && !contains(c.only, name) {
					continue
				}
				err := call(t.Context(), ctl)
				if err == nil {
					t.Errorf("%s succeeds, want %q", name, c.want)
					continue
				}
				if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || jenkins.IsRefusal(err) != c.refusal {
					t.Errorf("%s: %v (refusal %v)\nwant %q with %q (refusal %v)", name, err, jenkins.IsRefusal(err), c.want, c.says, c.refusal)
				}
				if strings.Contains(err.Error(), "t0ken") {
					t.Errorf("%s shows the token: %v", name, err)
				}
			}
		})
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestRefusedConnectionAndTimeoutAreUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts and never answers
	silentURL := "http://" + l.Addr().String()
	gone := httptest.NewServer(nil)
	gone.Close()
	for name, url := range map[string]string{"timeout": silentURL, "refused": gone.URL} {
		c, err := jenkins.New(jenkins.Config{Name: "main", URL: url, User: "u", Token: "t", Timeout: 50 * time.Millisecond}, silent())
		if err != nil {
			t.Fatal(err)
		}
		for call, f := range everyCall {
			if err := f(t.Context(), c); !errors.Is(err, jenkins.ErrUnreachable) {
				t.Errorf("%s, %s: %v, want ErrUnreachable", name, call, err)
			}
		}
	}
}

func TestACancelledContextIsNotAnUnreachableJenkins(t *testing.T) {
	_, ctl := pair(t, jenkinstest.Options{}, "true")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range everyCall {
		if err := call(ctx, ctl); !errors.Is(err, context.Canceled) || errors.Is(err, jenkins.ErrUnreachable) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
}

func TestPermissionsAreNamed(t *testing.T) {
	s := start(t, jenkinstest.Options{Users: []jenkinstest.User{
		{Name: "admin", Token: "admin-token", Permissions: []string{"Overall/Administer"}},
		{Name: "reader", Token: "r", Permissions: []string{"Overall/Read", "Job/Read"}},
		{Name: "stranger", Token: "s", Permissions: []string{"Overall/Read"}},
		{Name: "nobody", Token: "n"},
	}})
	if err := s.CreateJob(job, jobXML("true")); err != nil {
		t.Fatal(err)
	}
	admin := client(t, s.URL, "admin", "admin-token")
	id := trigger(t, admin, "d1", "")
	until(t, admin, "d1", id, done)
	cases := []struct{ user, token, call, permission string }{
		{"reader", "r", "Trigger", "Job/Build"},
		{"reader", "r", "Stop", "Job/Cancel"},
		{"reader", "r", "Describe", "Run/Update"},
		{"reader", "r", "EnsureJob", "Job/ExtendedRead"},
		{"nobody", "n", "Poll", "Overall/Read"},
		{"nobody", "n", "Version", "Overall/Read"},
	}
	for _, c := range cases {
		t.Run(c.call+" needs "+c.permission, func(t *testing.T) {
			err := everyCall[c.call](t.Context(), client(t, s.URL, c.user, c.token))
			var denied *jenkins.PermissionError
			if !errors.As(err, &denied) || denied.Permission != c.permission || denied.User != c.user {
				t.Fatalf("error = %v, want a PermissionError of %s for %s", err, c.permission, c.user)
			}
			if !strings.Contains(err.Error(), "grant it in Jenkins") || !jenkins.IsRefusal(err) {
				t.Errorf("%v does not say what to change", err)
			}
		})
	}
	t.Run("a job that the user may not discover is not found", func(t *testing.T) {
		err := everyCall["Trigger"](t.Context(), client(t, s.URL, "stranger", "s"))
		wantError(t, err, jenkins.ErrNotFound)
		if !strings.Contains(err.Error(), "permission to see it") {
			t.Errorf("%v does not say that it may be a permission", err)
		}
	})
}

func TestTriggerSaysWhatToChange(t *testing.T) {
	s, ctl := pair(t, jenkinstest.Options{}, "true")
	if err := s.CreateJob("plain", []byte("<project/>")); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateJob("off", []byte(strings.Replace(string(jobXML("true")), "<project>", "<project><disabled>true</disabled>", 1))); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, job string
		params    map[string]string
		says      string
	}{
		{"a job without parameters", "plain", map[string]string{"RAILYARD_DEPLOYMENT": "d", "APP": "a"}, "does not declare the parameters APP, RAILYARD_DEPLOYMENT"},
		{"a disabled job", "off", map[string]string{"RAILYARD_DEPLOYMENT": "d"}, "enable the job"},
		{"a folder", "deliver", map[string]string{"RAILYARD_DEPLOYMENT": "d"}, "name a job, not a folder"},
		{"a missing deployment id", job, map[string]string{"DIR": "d"}, "no parameter RAILYARD_DEPLOYMENT given"},
		{"a missing job", "absent", map[string]string{"RAILYARD_DEPLOYMENT": "d"}, "it does not exist"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ctl.Trigger(t.Context(), c.job, c.params)
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "jenkins main: trigger "+c.job) {
				t.Errorf("error = %v, want one with %q", err, c.says)
			}
		})
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	touch(t, notPEM)
	good := jenkins.Config{Name: "main", URL: "https://ci.example.org/jenkins", User: "u", Token: "t"}
	cases := []struct {
		name   string
		change func(*jenkins.Config)
		says   string
	}{
		{"no scheme", func(c *jenkins.Config) { c.URL = "ci.example.org" }, "is not an address"},
		{"a user in the URL", func(c *jenkins.Config) { c.URL = "https://u:p@ci.example.org" }, "user and token in their own fields"},
		{"no token", func(c *jenkins.Config) { c.Token = "" }, "API token"},
		{"a CA file that is none", func(c *jenkins.Config) { c.CAFile = notPEM }, "no PEM certificate"},
		{"a CA file that is missing", func(c *jenkins.Config) { c.CAFile = notPEM + "x" }, "ca file"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			if _, err := jenkins.New(cfg, silent()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error = %v, want one with %q", err, c.says)
			}
		})
	}
}

func TestPrivateCA(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		w.Header().Set("X-Jenkins", "2.452")
		_, _ = w.Write([]byte(`{"_class":"hudson.model.Hudson"}`))
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the client that refuses its certificate
	srv.StartTLS()
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o644); err != nil {
		t.Fatal(err)
	}
	with, err := jenkins.New(jenkins.Config{Name: "main", URL: srv.URL, User: "u", Token: "t", CAFile: ca}, silent())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := with.Version(t.Context()); v != "2.452" {
		t.Errorf("Version = %q, %v", v, err)
	}
	if _, err := client(t, srv.URL, "u", "t").Version(t.Context()); err == nil {
		t.Error("a certificate of an unknown CA was accepted")
	}
}
