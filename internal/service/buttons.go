package service

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"railyard/internal/access"
	"railyard/internal/jenkins"
	"railyard/internal/store"
	"railyard/pipeline"
	"railyard/server"
)

// defaultButtons is the folder of the button jobs.
const defaultButtons = "railyard"

// ButtonFolder is the folder of the button jobs.
func (j Jenkins) ButtonFolder() string {
	if j.Buttons == "" {
		return defaultButtons
	}
	return strings.Trim(j.Buttons, "/")
}

// buttons tells the server what a person pressed in Jenkins, as Jenkins itself tells it.
type buttons struct {
	controllers controllers
	configs     []Jenkins
}

// pressed implements server.Options.Pressed. Nothing that the build says of itself counts: the controller is asked who started
// it and with which parameters, and the person is whom the configuration names for that user of Jenkins. errors.Is:
// access.ErrDenied when it is not a press that counts, pipeline.ErrNotFound for an unknown build.
func (b buttons) pressed(ctx context.Context, controller, job string, number int64) (server.Press, error) {
	denied := func(format string, args ...any) (server.Press, error) {
		return server.Press{}, fmt.Errorf("%s #%d: %s: %w", job, number, fmt.Sprintf(format, args...), access.ErrDenied)
	}
	config, ok := b.config(controller)
	if !ok {
		return denied("no Jenkins controller %q is configured here", controller)
	}
	folder := config.ButtonFolder()
	name, ours := strings.CutPrefix(job, folder+"/")
	if !ours || strings.Contains(name, "/") {
		return denied("only jobs of the folder %s are buttons", folder)
	}
	client, err := b.controllers.get(config.Name)
	if err != nil {
		return server.Press{}, err
	}
	p, err := client.Press(ctx, job, number)
	if errors.Is(err, jenkins.ErrNotFound) {
		err = fmt.Errorf("%w: %w", pipeline.ErrNotFound, err)
	}
	switch {
	case err != nil:
		return server.Press{}, err
	case !p.Building:
		return denied("it has ended, so nobody waits for the answer; press again")
	case p.User == "":
		return denied("exactly one person must have started it, and Jenkins says: %s", p.Started)
	}
	person, known := config.People[p.User]
	if !known {
		return denied("Jenkins' user %q is nobody here: name the person under jenkins.people in the service's configuration", p.User)
	}
	return server.Press{
		Button: strings.ToLower(name), Person: person, Key: fmt.Sprintf("%s/%s #%d", config.Name, job, number),
		Coach: strings.TrimSpace(p.Parameters["COACH"]), Reason: strings.TrimSpace(p.Parameters["REASON"]), Mode: p.Parameters["MODE"],
	}, nil
}

// config is that of a controller; "" names the only one.
func (b buttons) config(controller string) (Jenkins, bool) {
	if controller == "" && len(b.configs) == 1 {
		return b.configs[0], true
	}
	for _, c := range b.configs {
		if c.Name == controller {
			return c, true
		}
	}
	return Jenkins{}, false
}

// TokensOf implements server.Store: those of the configuration and those that were made later.
func (k *knownTokens) TokensOf(ctx context.Context, person string) (tokens []store.Token, err error) {
	for _, t := range k.byHash {
		if t.Person == person {
			tokens = append(tokens, t)
		}
	}
	later, err := k.Store.TokensOf(ctx, person)
	return append(tokens, later...), err
}
