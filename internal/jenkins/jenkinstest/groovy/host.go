package groovy

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed host/*.groovy
var hostSources embed.FS

// ErrNoGroovy says that Java or Groovy 2.4 is not installed.
var ErrNoGroovy = errors.New("java or Groovy 2.4 is missing: install the Debian package groovy (ci/setup does)")

// jars are where Debian keeps Groovy; the first one that is there counts.
var jars = []string{"/usr/share/java/groovy-all-2.4.21.jar", "/usr/share/groovy/embeddable/groovy-all-2.4.21.jar", "/usr/share/java/groovy-all.jar"}

// toolchain is the Java and the Groovy of this machine.
type toolchain struct{ java, jar string }

func findToolchain() (toolchain, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return toolchain{}, fmt.Errorf("%w: %w", ErrNoGroovy, err)
	}
	for _, jar := range jars {
		if _, err := os.Stat(jar); err == nil {
			return toolchain{java, jar}, nil
		}
	}
	return toolchain{}, fmt.Errorf("%w: none of %s is there", ErrNoGroovy, strings.Join(jars, ", "))
}

// command runs a class. It starts fast rather than runs fast: a host lives for minutes.
func (t toolchain) command(classes, main string, args ...string) *exec.Cmd {
	classpath := t.jar
	if classes != "" {
		classpath += string(os.PathListSeparator) + classes
	}
	// Groovy 2.4 looks into the JDK's own classes, which Java 17 keeps closed.
	flags := []string{
		"-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Dfile.encoding=UTF-8",
		"--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED",
		"-cp", classpath, main,
	}
	return exec.Command(t.java, append(flags, args...)...)
}

// compiled is the directory of the host's classes; it compiles them unless this version was compiled before.
func (t toolchain) compiled() (string, error) {
	return cached("host", hostSources, func(sources, classes string) error {
		files, err := filepath.Glob(filepath.Join(sources, "host", "*.groovy"))
		if err != nil {
			return err
		}
		out, err := t.command("", "org.codehaus.groovy.tools.FileSystemCompiler", append([]string{"-d", classes}, files...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("compile the host: %w\n%s", err, out)
		}
		return nil
	})
}

// cached is a directory in the user's cache, named by the content of files. It is made by fill, from a copy of the files, when
// it is not there.
func cached(name string, files fs.FS, fill func(from, to string) error) (string, error) {
	digest, err := digestOf(files)
	if err != nil {
		return "", fmt.Errorf("read the files of %s: %w", name, err)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	base = filepath.Join(base, "railyard-groovy")
	dir := filepath.Join(base, name+"-"+digest)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	work, err := os.MkdirTemp(base, "new")
	if err != nil {
		return "", fmt.Errorf("make the cache: %w", err)
	}
	defer os.RemoveAll(work)
	from, to := filepath.Join(work, "from"), filepath.Join(work, "to")
	if err := errors.Join(os.CopyFS(from, files), os.MkdirAll(to, 0o755)); err != nil {
		return "", fmt.Errorf("fill the cache: %w", err)
	}
	if err := fill(from, to); err != nil {
		return "", err
	}
	if err := os.Rename(to, dir); err != nil {
		if _, there := os.Stat(dir); there == nil {
			return dir, nil // somebody was faster
		}
		return "", fmt.Errorf("fill the cache: %w", err)
	}
	return dir, nil
}

func digestOf(files fs.FS) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		fmt.Fprintf(sum, "%s %d\n", path, len(text))
		sum.Write(text)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:16], err
}
