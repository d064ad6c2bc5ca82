package deploy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"railyard/internal/fleet"
	"railyard/internal/packages"
	"railyard/internal/roller"
)

const defaultKeep = 5

// names are what apps may be called: they are names of directories and words of a command.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// order is what one app of a revision asks of the machine.
type order struct {
	app     string
	release roller.AppRelease
	keep    int
	days    int    // how long the versions before stay in their slots; 0 = the app does not go to slots
	restart string // a shell command; "" = nothing to restart, as for files that a web server serves
}

// ordersFor checks the revision and returns its orders. All of its errors are permanent: they are about what was asked.
func ordersFor(m roller.Machine, r roller.Revision) ([]order, error) {
	if err := checkDir(m.Server.Dir); err != nil {
		return nil, err
	}
	if len(r.Apps) == 0 {
		return nil, fmt.Errorf("the revision has no apps: %w", roller.ErrPermanent)
	}
	orders := make([]order, 0, len(r.Apps))
	for _, release := range r.Apps {
		o, err := orderFor(m, release)
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, nil
}

func orderFor(m roller.Machine, release roller.AppRelease) (order, error) {
	if err := checkName("app", release.App); err != nil {
		return order{}, err
	}
	i := slices.IndexFunc(m.Apps, func(a fleet.App) bool { return a.Name == release.App })
	if i < 0 {
		return order{}, fmt.Errorf("the topology has no app %s on this server: %w", release.App, roller.ErrPermanent)
	}
	app := m.Apps[i]
	digests := []string{release.Package}
	if release.Config != "" {
		digests = append(digests, release.Config)
	}
	for _, digest := range digests {
		if _, err := packages.ParseDigest(digest); err != nil {
			return order{}, fmt.Errorf("app %s: %w: %w", release.App, err, roller.ErrPermanent)
		}
	}
	restart, err := restartCommand(m, app)
	if err != nil {
		return order{}, err
	}
	keep := app.Keep
	if keep <= 0 {
		keep = defaultKeep
	}
	days := 0
	if app.Slot() {
		days = max(app.KeepDays, release.KeepDays, 1)
	}
	return order{app: release.App, release: release, keep: max(keep, 2), days: days, restart: restart}, nil // 2: this one and the last
}

// restartCommand fills in the topology's template.
func restartCommand(m roller.Machine, app fleet.App) (string, error) {
	t, err := template.New("restart").Option("missingkey=error").Parse(app.Restart)
	var b strings.Builder
	if err == nil {
		err = t.Execute(&b, map[string]string{"Dir": path.Join(m.Server.Dir, app.Name), "App": app.Name, "Server": m.Server.Name})
	}
	if err != nil {
		return "", fmt.Errorf("app %s: restart command %q: expected a template of {{.Dir}}, {{.App}}, {{.Server}}: %w: %w",
			app.Name, app.Restart, err, roller.ErrPermanent)
	}
	return b.String(), nil
}

// args are the order as words for the script.
func (o order) args() []string {
	config := "-"
	if o.release.Config != "" {
		config = hexOf(o.release.Config)
	}
	return []string{o.app, o.release.Name(), hexOf(o.release.Package), config, strconv.Itoa(o.keep), strconv.Itoa(o.days), o.restart}
}

func hexOf(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

func checkName(what, name string) error {
	if !names.MatchString(name) {
		return fmt.Errorf("%s name %q: expected letters, digits, dot, dash and underscore: %w", what, name, roller.ErrPermanent)
	}
	return nil
}

func checkDir(dir string) error {
	if !path.IsAbs(dir) || path.Clean(dir) != dir || dir == "/" || strings.ContainsAny(dir, "\n\x00") {
		return fmt.Errorf("directory %q: expected an absolute path such as /srv/railyard; correct `dir:` of the server in the topology: %w", dir, roller.ErrPermanent)
	}
	return nil
}
