package jenkins

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// Press is what Jenkins itself says of one build of a button's job.
type Press struct {
	User       string            // who started it: "li"; "" when that is not exactly one person
	Started    string            // how it was started, in Jenkins' words: "Started by user Li Wei"
	Parameters map[string]string // what was filled in
	Building   bool              // it still runs
	URL        string
}

const userIDCause = "hudson.model.Cause$UserIdCause"

// Press reads who pressed a button, and what for. A build that several people's requests were merged into, or that something
// else than a person has started, has no User.
func (c *Controller) Press(ctx context.Context, job string, number int64) (Press, error) {
	var b struct {
		Building bool
		URL      string
		Actions  []struct {
			actionJSON
			Causes []struct {
				Class            string `json:"_class"`
				UserID           string
				ShortDescription string
			}
		}
	}
	err := c.get(ctx, buildPath(job, number), &b, map[string]string{
		"tree": "building,url,actions[parameters[name,value],causes[userId,shortDescription]]",
	})
	if err != nil {
		return Press{}, c.failed(fmt.Sprintf("read who pressed %s #%d", job, number), err)
	}
	p := Press{Parameters: map[string]string{}, Building: b.Building, URL: b.URL}
	var users, words []string
	for _, a := range b.Actions {
		for _, one := range a.Parameters {
			if text, ok := one.Value.(string); ok {
				p.Parameters[one.Name] = text
			}
		}
		for _, cause := range a.Causes {
			user := cause.UserID
			if cause.Class != userIDCause {
				user = ""
			}
			users, words = append(users, user), append(words, cause.ShortDescription)
		}
	}
	if len(users) == 1 {
		p.User = users[0]
	}
	p.Started = strings.Join(words, ", ")
	return p, nil
}

// ButtonLinks are lines that say where buttons are, with the Coach filled in: "\nRollback: https://ci.example.org/job/railyard/job/…".
// Jenkins' own form of parameters takes no values from an address, so the links are those of the plugin Build With
// Parameters; without it people open the job and fill in the Coach. buildURL is any build's address, as Jenkins gives it; without
// a root URL there is none, and no lines.
func ButtonLinks(buildURL, folder, coach string, buttons []string) string {
	root, _, ok := strings.Cut(buildURL, "/job/")
	if !ok {
		return ""
	}
	var b strings.Builder
	for _, name := range buttons {
		fmt.Fprintf(&b, "\n%s: %s%s/parambuild/?COACH=%s", name, root, jobPath(folder+"/"+name), url.QueryEscape(coach))
	}
	return b.String()
}
