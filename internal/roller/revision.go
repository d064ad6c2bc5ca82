package roller

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Name is the directory name of the release on a server: the first 12 hex digits of its package digest, and of its
// config digest when it has one. The same bytes have the same name in every environment.
func (a AppRelease) Name() string {
	name := short(a.Package)
	if a.Config != "" {
		name += "-" + short(a.Config)
	}
	return name
}

func short(digest string) string {
	hexPart := digest[strings.IndexByte(digest, ':')+1:]
	return hexPart[:min(12, len(hexPart))]
}

// NewRevision makes the revision of the given releases: sorted by app, named by RevisionID.
func NewRevision(apps ...AppRelease) Revision {
	sorted := slices.Clone(apps)
	slices.SortFunc(sorted, func(a, b AppRelease) int { return strings.Compare(a.App, b.App) })
	return Revision{ID: RevisionID(sorted), Apps: sorted}
}

// RevisionID names a set of releases by what would run: the first 12 hex digits of the SHA-256 over app, package and
// config digests in app order. Two sets with the same bytes have the same id, whatever their version labels say.
func RevisionID(apps []AppRelease) string {
	h := sha256.New()
	for _, a := range apps {
		h.Write([]byte(a.App + "\x00" + a.Package + "\x00" + a.Config + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// With returns the revision with the given releases in place of (or beside) those of the same apps: what a pool runs
// after a Coach that changes only some of its apps.
func (r Revision) With(apps ...AppRelease) Revision {
	merged := slices.Clone(r.Apps)
	for _, a := range apps {
		i := slices.IndexFunc(merged, func(m AppRelease) bool { return m.App == a.App })
		if i < 0 {
			merged = append(merged, a)
			continue
		}
		merged[i] = a
	}
	return NewRevision(merged...)
}

// words names the revision for people: "45c5994d2742 (hotel-api 1.4.2)".
func (r Revision) words() string {
	if r.ID == "" {
		return "nothing"
	}
	var versions []string
	for _, a := range r.Apps {
		if a.Version != "" {
			versions = append(versions, a.App+" "+a.Version)
		}
	}
	if len(versions) == 0 {
		return r.ID
	}
	return fmt.Sprintf("%s (%s)", r.ID, strings.Join(versions, ", "))
}

// Runs reports whether a machine in this state runs exactly the revision.
func (s HostState) Runs(r Revision) bool {
	for _, a := range r.Apps {
		if s.Running[a.App] != a.Name() {
			return false
		}
	}
	return r.ID != ""
}
