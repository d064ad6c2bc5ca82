package jenkinsfiles_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"railyard/internal/packages"
	"railyard/jenkinsfiles"
)

func TestDeliverFreestyle(t *testing.T) {
	const begun = "begin --deployment d1\n"
	cases := []struct {
		name    string
		prepare func(y *yard)
		result  string
		calls   string // "…" stands for the way to the package
		says    string
	}{
		{"a released commit is a success", func(*yard) {}, "SUCCESS",
			begun + "publish --deployment d1 --app hotel-api …/package.tar.gz\nwait --deployment d1\n", "building"},
		{"a duplicate ends quietly, with nothing built", func(y *yard) { y.write("begin", "4") }, "SUCCESS", begun, "nothing to do"},
		{"a superseded or revoked one is unstable", func(y *yard) { y.write("wait", "3") }, "UNSTABLE",
			begun + "publish --deployment d1 --app hotel-api …/package.tar.gz\nwait --deployment d1\n", ""},
		{"one that was rolled back is a failure", func(y *yard) { y.write("wait", "1") }, "FAILURE",
			begun + "publish --deployment d1 --app hotel-api …/package.tar.gz\nwait --deployment d1\n", ""},
		{"a failing build is a failure whatever its exit code", func(y *yard) { y.write("repo/build.sh", "#!/bin/sh\nexit 3\n") },
			"FAILURE", begun, "build.sh failed"},
		{"failing tests publish nothing", func(y *yard) { y.write("repo/test.sh", "#!/bin/sh\nexit 3\n") }, "FAILURE", begun, "test.sh failed"},
		{"a refused package is a failure", func(y *yard) { y.write("publish", "3") }, "FAILURE",
			begun + "publish --deployment d1 --app hotel-api …/package.tar.gz\n", "cannot publish"},
		{"a build without dist is a failure", func(y *yard) { y.write("repo/build.sh", "#!/bin/sh\ntrue\n") }, "FAILURE", begun, "made no dist"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			y := newYard(t, jenkinsfiles.DeliverFreestyle("hotel-api"), nil)
			c.prepare(y)
			b, console := y.run(y.commit())
			if b.Result != c.result || !strings.Contains(console, c.says) {
				t.Errorf("result = %s, want %s with %q in\n%s", b.Result, c.result, c.says, console)
			}
			calls := y.calls()
			if at := strings.Index(calls, " /"); at > 0 {
				end := strings.Index(calls, "/package.tar.gz")
				calls = calls[:at+1] + "…" + calls[end:]
			}
			if calls != c.calls {
				t.Errorf("railyard was called with\n%swant\n%s", calls, c.calls)
			}
			if strings.Contains(console, "s3cr3t") || strings.Contains(console, "token ****") {
				t.Errorf("the console or build.sh saw the token:\n%s", console)
			}
		})
	}
}

func TestTheFreestyleJobBuildsExactlyTheCommitAndTheSameBytes(t *testing.T) {
	y := newYard(t, jenkinsfiles.DeliverFreestyle("hotel-api"), nil)
	// Times and modes that differ from build to build.
	y.write("repo/build.sh", `#!/bin/sh
set -eu
rm -rf dist
mkdir dist
if test $((BUILD_NUMBER % 4)) = 1; then umask 022; else umask 002; fi
cat run >dist/run
chmod +x dist/run
touch -d "@$BUILD_NUMBER" dist/run dist
`)
	first := y.commit()
	y.write("repo/run", "#!/bin/sh\necho 2\n")
	second := y.commit()
	for _, commit := range []string{first, second, first} {
		if b, console := y.run(commit); b.Result != "SUCCESS" {
			t.Fatalf("%s\n%s", b.Result, console)
		}
	}
	read := func(n string) []byte {
		text, err := os.ReadFile(filepath.Join(y.dir, "package-"+n+".tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if !bytes.Equal(read("1"), read("3")) {
		t.Error("the same commit made other bytes")
	}
	if header := read("1")[:8]; !bytes.Equal(header[3:], make([]byte, 5)) {
		t.Errorf("the gzip header % x holds a name or a time", header)
	}
	for n, want := range map[string]string{"1": "#!/bin/sh\necho 1\n", "2": "#!/bin/sh\necho 2\n"} {
		dir := t.TempDir()
		if err := packages.Unpack(bytes.NewReader(read(n)), dir, packages.Limits{}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "run")); err != nil || string(got) != want {
			t.Errorf("package %s has run = %q (%v), want %q", n, got, err, want)
		}
	}
}
