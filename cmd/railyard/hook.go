package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"railyard/internal/scm/hook"
)

// ours is the line by which a hook of any version of Railyard is known.
const ours = "# Tells Railyard about a push."

func newHook() *cobra.Command {
	cmd := group("hook", "Announce pushes to a plain git repository", "")
	cmd.AddCommand(newHookInstall())
	return cmd
}

func newHookInstall() *cobra.Command {
	var h hookSetup
	cmd := &cobra.Command{
		Use: "install --repository DIR --url URL --secret-file FILE", Short: "Install the post-receive hook into a bare repository",
		Long: `Installs Railyard's post-receive hook into a bare repository on this machine and configures it (git config railyard.…). It may
be repeated, to update the hook or to change its settings. A hook of somebody else is never overwritten.`,
		Example: `  railyard hook install --repository /srv/git/hotel/hotel-api.git --name hotel/hotel-api \
      --url https://railyard.example.com --secret-file /etc/railyard/hotel-api.key`,
		Args: cobra.NoArgs, Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, _ []string) error { return h.install(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&h.repository, "repository", "", "the bare repository")
	flags.StringVar(&h.url, "url", "", "address of the service, or of its webhook (…/hooks/generic)")
	flags.StringVar(&h.secretFile, "secret-file", "", "file with the webhook's secret, readable by the user git runs as")
	flags.StringVar(&h.name, "name", "", "the repository's name in the topology (default: the last two parts of its path)")
	flags.StringVar(&h.cloneURL, "clone-url", "", "address it can be cloned from, if the topology does not say it")
	for _, name := range []string{"repository", "url", "secret-file"} {
		_ = cmd.MarkFlagRequired(name)
	}
	return cmd
}

// hookSetup is what the hook must know.
type hookSetup struct{ repository, url, secretFile, name, cloneURL string }

func (h hookSetup) install(cmd *cobra.Command) error {
	webhook, err := webhookURL(h.url)
	if err != nil {
		return err
	}
	secret, warning, err := secretFile(h.secretFile)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	dir, err := filepath.Abs(h.repository)
	if err != nil {
		return err
	}
	if bare, err := git(ctx, dir, "rev-parse", "--is-bare-repository"); err != nil || bare != "true" {
		return fmt.Errorf("%s is not a bare git repository that this user may use", dir)
	}
	if h.name == "" {
		h.name = nameOf(dir)
	}
	path, err := hookPath(ctx, dir)
	if err != nil {
		return err
	}
	state, err := placeHook(path)
	if err != nil {
		return err
	}
	settings := [][2]string{{"url", webhook}, {"repository", h.name}, {"secretFile", secret}}
	if h.cloneURL != "" {
		settings = append(settings, [2]string{"cloneUrl", h.cloneURL})
	}
	for _, s := range settings {
		if _, err := git(ctx, dir, "config", "railyard."+s[0], s[1]); err != nil {
			return err
		}
	}
	if warning != "" {
		cmd.PrintErrln("warning: " + warning)
	}
	cmd.Printf("%s: the hook is %s; pushes are announced to %s as those of %s\n", dir, state, webhook, h.name)
	return nil
}

// webhookURL completes the address of the service to that of its webhook.
func webhookURL(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		return "", usagef("--url: expected an address such as https://railyard.example.com, without user or password")
	}
	if !strings.Contains(u.Path, "/hooks/") {
		u.Path = strings.TrimRight(u.Path, "/") + "/hooks/generic"
	}
	return u.String(), nil
}

// secretFile checks that the file holds a secret, and warns when others may read it.
func secretFile(path string) (absolute, warning string, err error) {
	if absolute, err = filepath.Abs(path); err != nil {
		return "", "", err
	}
	text, err := os.ReadFile(absolute)
	if err != nil {
		return "", "", fmt.Errorf("read the secret: %w", err)
	}
	if strings.TrimRight(string(text), "\r\n") == "" {
		return "", "", fmt.Errorf("the secret file %s is empty; put the secret into it that Railyard has under hooks: generic", absolute)
	}
	if info, err := os.Stat(absolute); err == nil && info.Mode().Perm()&0o007 != 0 {
		warning = fmt.Sprintf("every user may read %s; make it readable only by the user git runs as", absolute)
	}
	return absolute, warning, nil
}

// nameOf is the last two parts of a repository's path: /srv/git/hotel/hotel-api.git is hotel/hotel-api.
func nameOf(dir string) string {
	return filepath.Base(filepath.Dir(dir)) + "/" + strings.TrimSuffix(filepath.Base(dir), ".git")
}

// hookPath is where git looks for the hook. A place outside the repository serves others too and is left alone.
func hookPath(ctx context.Context, dir string) (string, error) {
	path, err := git(ctx, dir, "rev-parse", "--git-path", "hooks/post-receive")
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if inside, err := filepath.Rel(dir, path); err != nil || !filepath.IsLocal(inside) {
		return "", fmt.Errorf("core.hooksPath of %s leads to %s, which other repositories may use; call Railyard's hook from the hook there", dir, path)
	}
	return path, nil
}

// placeHook writes the hook, unless the one that is there is not ours.
func placeHook(path string) (state string, err error) {
	there, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		state = "installed"
	case err != nil:
		return "", err
	case string(there) == hook.Script():
		return "in place", os.Chmod(path, 0o755) // git runs it as whoever pushes
	case strings.Contains(string(there), ours):
		state = "updated"
	default:
		return "", fmt.Errorf("%s is a hook of somebody else and stays as it is; to have both, call both from one script and give each the same standard input", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	fresh := path + ".railyard"
	if err := os.WriteFile(fresh, []byte(hook.Script()), 0o755); err != nil {
		return "", err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return "", err
	}
	return state, os.Rename(fresh, path)
}

// git runs git in a repository and returns what it prints, without the last line end.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s in %s: %w: %s", args[0], dir, err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimRight(string(out), "\n"), nil
}
