package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConfigurationFile(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		rule, text, refused string
		env                 map[string]string
		check               func(t *testing.T, c Config)
	}{
		{rule: "an empty file listens on loopback only and keeps everything beside itself", text: "{}", check: func(t *testing.T, c Config) {
			if c.Listen != "127.0.0.1:8080" || c.Database != "sqlite:"+filepath.Join(dir, "railyard.db") || c.LeaseTTL != 10*time.Second {
				t.Errorf("got %+v", c)
			}
		}},
		{rule: "a misspelt key is refused", text: "listn: 127.0.0.1:1", refused: "listn"},
		{rule: "so is one further down", text: "jenkins: [{name: main, url: http://ci, tokn: env:X}]", refused: "tokn"},
		{rule: "text that is no YAML is refused with its position", text: "a: [", refused: "[1:4]"},
		{rule: "an unknown code host is refused", text: "hooks: {githbu: env:X}", refused: `unknown provider "githbu"`},
		{rule: "an empty webhook secret is refused at once", text: `hooks: {github: ""}`, refused: "an empty secret would accept everybody's webhooks"},
		{rule: "a token needs a person, a role and a reference", text: "tokens: [{person: jenkins}]", refused: "person, role and token are needed"},
		{rule: "a lease of milliseconds is refused", text: "leasettl: 5ms", refused: "at least 1s"},
		{rule: "sites are audited every minute", text: "{}", check: func(t *testing.T, c Config) {
			if c.Audit != time.Minute {
				t.Errorf("got %s", c.Audit)
			}
		}},
		{rule: "an audit without a pause is refused", text: "audit: 5ms", refused: "audit 5ms: at least 1s"},
		{rule: "the environment wins over the file", text: "listen: 127.0.0.1:1", env: map[string]string{"RAILYARD_LISTEN": "127.0.0.1:2"},
			check: func(t *testing.T, c Config) {
				if c.Listen != "127.0.0.1:2" {
					t.Errorf("got %s", c.Listen)
				}
			}},
		{rule: "variables of the client commands are not the service's", text: "{}", env: map[string]string{"RAILYARD_TOKEN": "x", "RAILYARD_URL": "y"}},
		{rule: "durations are written with their unit", text: "rescan: 90s", check: func(t *testing.T, c Config) {
			if c.Rescan != 90*time.Second {
				t.Errorf("got %s", c.Rescan)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			path := filepath.Join(dir, "railyard.yaml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := LoadConfig(path)
			switch {
			case c.refused == "" && err != nil:
				t.Fatal(err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Fatalf("got %v, expected it to say %q", err, c.refused)
			case c.check != nil:
				c.check(t, got)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "secret"), filepath.Join(dir, "empty")
	for path, text := range map[string]string{file: "hush\n", empty: "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("RAILYARD_TEST_SECRET", "from the environment")
	cases := []struct {
		rule    string
		secret  Secret
		value   string
		refused string
	}{
		{"a file's content, without the newline", Secret("file:" + file), "hush", ""},
		{"an environment variable", "env:RAILYARD_TEST_SECRET", "from the environment", ""},
		{"nothing is an empty secret", "", "", ""},
		{"an empty file is a mistake", Secret("file:" + empty), "", "the file is empty"},
		{"a variable that is not set is a mistake", "env:RAILYARD_TEST_NOTHING", "", "is not set"},
		{"a secret itself is refused, and not repeated", "hunter2", "", "given by reference"},
	}
	for _, c := range cases {
		t.Run(c.rule, func(t *testing.T) {
			got, err := c.secret.Resolve()
			if got != c.value {
				t.Errorf("got %q, expected %q", got, c.value)
			}
			if (c.refused == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.refused)) {
				t.Errorf("got %v, expected it to say %q", err, c.refused)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v repeats the secret", err)
			}
		})
	}
}

func TestAPasswordGoesIntoTheAddressOfTheDatabaseOnly(t *testing.T) {
	for dsn, expected := range map[string]string{
		"mysql://railyard@db:3306/railyard": "mysql://railyard:p%40ss@db:3306/railyard",
		"sqlite:/var/lib/railyard.db":       "",
	} {
		got, err := withPassword(dsn, "p@ss")
		if got != expected || (err != nil) != (expected == "") {
			t.Errorf("%s: got %q, %v", dsn, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "p@ss") {
			t.Errorf("%v repeats the password", err)
		}
	}
}
