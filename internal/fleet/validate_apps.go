package fleet

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// kinds in release order.
var kinds = []Kind{KindImage, KindDatabase, KindWeb, KindJob, KindAPI, KindApp}

func words[T ~string](values ...T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

func (c *checker) checkRepositories() {
	seen := map[string]bool{}
	for i, repo := range c.t.Repositories {
		at := fmt.Sprintf("$.repositories[%d]", i)
		subject := called("repository", repo.Name, at)
		c.name(at, "repository", repo.Name, repositoryName, seen)
		c.checkClone(at+".clone", subject, repo.Clone)
		if len(repo.Branches) == 0 {
			c.say(at+".branches", subject, "branches is missing, so no push would ever be delivered", "list the release branches, such as [release/*]")
		}
		for j, pattern := range repo.Branches {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				c.say(fmt.Sprintf("%s.branches[%d]", at, j), subject, fmt.Sprintf("branches: %q is no pattern", pattern), "write a branch, with * for any part between slashes: release/*")
			}
		}
		if !isRelative(repo.Plan) {
			c.say(at+".plan", subject, fmt.Sprintf("plan %q is not a path inside the repository", repo.Plan), "write one such as "+defaultPlan)
		}
	}
}

func isRelative(file string) bool {
	return !path.IsAbs(file) && path.Clean(file) == file && file != "." && file != ".." && !strings.HasPrefix(file, "../")
}

func (c *checker) checkClone(at, subject, clone string) {
	const fix = "write one such as https://git.example/hotel/hotel-api.git"
	switch {
	case clone == "":
		c.say(at, subject, "clone is missing", "write the URL it is fetched from")
	case strings.HasPrefix(clone, "-") || strings.ContainsAny(clone, " \t"):
		c.say(at, subject, fmt.Sprintf("clone %q is no URL", clone), fix)
	case strings.Contains(clone, "://"):
		u, err := url.Parse(clone)
		if err != nil {
			c.say(at, subject, "clone is no URL", fix)
		} else if _, secret := u.User.Password(); secret {
			c.say(at, subject, "clone contains a password, and this file is read by many", "remove it here, and configure the credentials where the service runs")
		}
	}
}

func (c *checker) checkApps() {
	seen := map[string]bool{}
	ports := owners{}
	for i, app := range c.t.Apps {
		at := fmt.Sprintf("$.apps[%d]", i)
		subject := called("app", app.Name, at)
		c.name(at, "app", app.Name, plainName, seen)
		c.oneOf(at+".kind", subject, "kind", string(app.Kind), words(kinds...)...)
		c.ref(at+".sbu", subject, "sbu", "SBU", app.SBU, c.sbus)
		c.ref(at+".pool", subject, "pool", "pool", app.Pool, c.pools)
		c.ref(at+".repository", subject, "repository", "repository", app.Repository, c.repositories)
		c.checkJob(at+".jenkins.job", subject, app)
		c.templates(at+".restart", subject, "restart", app.Restart, "{{.Dir}}", "{{.App}}", "{{.Server}}")
		if app.Port < 0 || app.Port > 65535 {
			c.say(at+".port", subject, fmt.Sprintf("port %d is not a number from 1 to 65535", app.Port), "leave it out to use the server's address")
		} else if app.Port > 0 {
			if other := ports.take(fmt.Sprint(app.Pool, " ", app.Port), app.Name); other != "" {
				c.say(at+".port", subject, fmt.Sprintf("port %d is also that of app %q on the same servers", app.Port, other), "give each app of pool "+app.Pool+" its own")
			}
		}
		if app.Keep < 2 {
			c.say(at+".keep", subject, fmt.Sprintf("keep %d leaves no release to roll back to", app.Keep), "write 2 or more")
		}
		c.checkKind(at, subject, app)
		for j, check := range app.Smoke {
			c.checkCheck(fmt.Sprintf("%s.smoke[%d]", at, j), subject, "smoke", check)
		}
	}
}

// checkKind takes what an app of its kind must say, and nothing that only others say.
func (c *checker) checkKind(at, subject string, app App) {
	switch app.Kind {
	case KindImage, KindWeb:
		if app.KeepDays < 1 || app.KeepDays > 365 {
			c.say(at+".keep_days", subject, fmt.Sprintf("keep_days %d", app.KeepDays), "write 1 to 365: how many days the versions before stay")
		}
		return
	case KindDatabase:
		if app.Restart == "" {
			c.say(at+".restart", subject, "a database without restart would be released and never migrated", "write the migration's command, which does nothing when it was done already")
		}
		for _, other := range c.t.AppsOf(app.Pool) {
			if other.Kind != KindDatabase {
				c.say(at+".pool", subject, fmt.Sprintf("pool %q also hosts %q, which is of kind %s; a migration is not rolled server by server", app.Pool, other.Name, other.Kind),
					"give databases a pool of their own")
				break
			}
		}
	}
	if app.KeepDays != 0 {
		c.say(at+".keep_days", subject, fmt.Sprintf("keep_days is for image and web resources, and this is of kind %s", app.Kind), "remove it; keep says how many releases stay")
	}
}

func (c *checker) checkJob(at, subject string, app App) {
	switch job := app.Jenkins.Job; {
	case job == "":
		c.say(at, subject, "jenkins: job is missing, so nothing would build it", "write the job's full name, such as deliver/"+app.Name)
	case job == TrainJob:
		c.say(at, subject, fmt.Sprintf("jenkins: job %q is the one that follows Trains", job), "write another name, such as deliver/"+app.Name)
	case strings.HasPrefix(job, "/") || strings.HasSuffix(job, "/") || strings.Contains(job, "//"):
		c.say(at, subject, fmt.Sprintf("jenkins: job %q is not a full name", job), "write folders and job with a slash between, such as deliver/"+app.Name)
	}
}

func (c *checker) checkCheck(at, subject, field string, check Check) {
	if u, err := url.ParseRequestURI(check.Path); err != nil || !strings.HasPrefix(check.Path, "/") || u.Host != "" {
		c.say(at+".path", subject, fmt.Sprintf("%s: path %q is not the path of a URL", field, check.Path), "write it from the slash on, such as /healthz")
	}
	if check.Status < 100 || check.Status > 599 {
		c.say(at+".status", subject, fmt.Sprintf("%s: status %d is no HTTP status", field, check.Status), "write 100 to 599; 200 when left out")
	}
	if name, _, ok := strings.Cut(check.JSON, "="); check.JSON != "" && (!ok || name == "") {
		c.say(at+".json", subject, fmt.Sprintf("%s: json %q is not a path and a value", field, check.JSON), "write such as status=ok")
	}
	if check.Timeout > 0 && check.Latency >= check.Timeout {
		c.say(at+".latency", subject, fmt.Sprintf("%s: latency %s is not below the timeout %s, which would say it first", field, check.Latency, check.Timeout), "lower it, or raise timeout")
	}
}

var template = regexp.MustCompile(`\{\{[^}]*\}\}?`)

// templates refuses {{…}} that nothing would replace.
func (c *checker) templates(at, subject, field, text string, known ...string) {
	for _, found := range template.FindAllString(text, -1) {
		if !slices.Contains(known, found) {
			c.say(at, subject, fmt.Sprintf("%s: nothing replaces %s", field, found), "known: "+strings.Join(known, ", "))
		}
	}
}

func (c *checker) checkApprovals() {
	for i, policy := range c.t.Approvals {
		at := fmt.Sprintf("$.approvals[%d]", i)
		subject := fmt.Sprintf("approvals[%d]", i)
		if policy.SBU != "" {
			c.ref(at+".sbu", subject, "sbu", "SBU", policy.SBU, c.sbus)
		}
		for j, kind := range policy.Kinds {
			c.oneOf(fmt.Sprintf("%s.kinds[%d]", at, j), subject, "kinds", string(kind), words(kinds...)...)
		}
		c.refs(at, subject, "apps", "app", policy.Apps, c.apps)
		for j, name := range policy.Apps {
			app, ok := c.t.App(name)
			where := fmt.Sprintf("%s.apps[%d]", at, j)
			if ok && policy.SBU != "" && app.SBU != policy.SBU {
				c.say(where, subject, fmt.Sprintf("apps: %q belongs to SBU %q, so a grant within SBU %q never reaches it", name, app.SBU, policy.SBU), "correct sbu, or remove the app")
			} else if ok && !(len(policy.Kinds) == 0 || slices.Contains(policy.Kinds, app.Kind)) {
				c.say(where, subject, fmt.Sprintf("apps: %q is of kind %q, which kinds does not grant", name, app.Kind), "correct kinds, or remove the app")
			}
		}
	}
}
