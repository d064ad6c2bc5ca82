package scm

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const payloads = "testdata/payloads"

// readTSV returns the rows of a table by column name.
func readTSV(t *testing.T, path string) []map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	all, err := r.ReadAll()
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	var rows []map[string]string
	for _, fields := range all[1:] {
		row := make(map[string]string)
		for i, name := range all[0] {
			row[name] = fields[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// rowHeader is the header of the delivery that a row of INDEX.tsv describes.
func rowHeader(row map[string]string) http.Header {
	h := http.Header{}
	h.Set(row["event_header"], row["event_value"])
	extra, _, _ := strings.Cut(row["extra_headers"], " (")
	for pair := range strings.SplitSeq(extra, "; ") {
		if name, value, ok := strings.Cut(pair, ": "); ok {
			h.Set(name, value)
		}
	}
	return h
}

// TestParseReadsEveryRecordedPayload compares each recorded delivery with the reading of it in INDEX.tsv.
func TestParseReadsEveryRecordedPayload(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range readTSV(t, filepath.Join(payloads, "INDEX.tsv")) {
		seen[row["path"]] = true
		t.Run(row["path"]+"#"+row["change_index"], func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join(payloads, row["path"]))
			if err != nil {
				t.Fatal(err)
			}
			push, err := Providers()[row["provider"]].Parse(rowHeader(row), body)
			switch {
			case row["action"] == "reject":
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("err = %v, want ErrMalformed", err)
				}
			case strings.HasPrefix(row["action"], "none"):
				if !errors.Is(err, ErrIgnored) {
					t.Fatalf("err = %v, want ErrIgnored", err)
				}
			case err != nil:
				t.Fatal(err)
			default:
				if diff := cmp.Diff(expected(t, row), observed(t, row, push)); diff != "" {
					t.Errorf("reading differs from INDEX.tsv (-want +got):\n%s", diff)
				}
			}
		})
	}
	files, err := filepath.Glob(filepath.Join(payloads, "*", "*.json"))
	if err != nil || len(files) != len(seen) {
		t.Errorf("%d payload files, %d of them in INDEX.tsv (%v)", len(files), len(seen), err)
	}
}

// reading is what INDEX.tsv and a Push have in common.
type reading struct {
	Repo, CloneURL string
	Changes        int
	Change         Change
	Updated        bool
}

func expected(t *testing.T, row map[string]string) reading {
	t.Helper()
	total, err := strconv.Atoi(row["changes_total"])
	if err != nil {
		t.Fatalf("changes_total: %v", err)
	}
	unzero := func(hash string) string {
		if strings.Trim(hash, "0") == "" {
			return ""
		}
		return hash
	}
	_, name, _ := strings.Cut(strings.TrimPrefix(row["ref"], "refs/"), "/")
	c := Change{
		Ref: row["ref"], RefKind: RefKind(row["ref_kind"]), Name: name,
		Before: unzero(row["before"]), After: unzero(row["after"]), Commit: row["peeled_commit"],
		Created: row["created"] == "true", Deleted: row["deleted"] == "true",
		Forced: row["forced"] == "true", // "unknown" is told apart by nobody: Mirror.Commits decides
	}
	return reading{Repo: row["repo_full_name"], CloneURL: row["clone_url"], Changes: total, Change: c,
		Updated: strings.HasSuffix(row["action"], "updated")}
}

func observed(t *testing.T, row map[string]string, push Push) reading {
	t.Helper()
	i, err := strconv.Atoi(row["change_index"])
	if err != nil || i >= len(push.Changes) {
		t.Fatalf("change %q of %d: %v", row["change_index"], len(push.Changes), err)
	}
	c := push.Changes[i]
	if row["peeled_commit"] == "" {
		// The index names a commit only where the payload lists it; the tip of a branch is one all the same.
		if c.Commit != "" && c.Commit != c.After {
			t.Errorf("commit %s comes from nowhere", c.Commit)
		}
		c.Commit = ""
	}
	return reading{Repo: push.Repo, CloneURL: push.CloneURL, Changes: len(push.Changes), Change: c,
		Updated: !c.Created && !c.Deleted}
}

// TestVerifyAcceptsEveryPublishedSignature checks signatures that were made by the hosts, not by us.
func TestVerifyAcceptsEveryPublishedSignature(t *testing.T) {
	for i, row := range readTSV(t, filepath.Join(payloads, "SIGNATURES.tsv")) {
		t.Run(fmt.Sprintf("%d %s %s", i, row["provider"], row["algorithm"]), func(t *testing.T) {
			body, isLiteral := strings.CutPrefix(row["body"], "literal:")
			if !isLiteral {
				b, err := os.ReadFile(filepath.Join(payloads, row["body"]))
				if err != nil {
					t.Fatal(err)
				}
				body = string(b)
			}
			p, h := Providers()[row["provider"]], http.Header{}
			h.Set(row["signature_header"], row["signature_value"])
			err := p.Verify(h, []byte(body), []byte(row["secret"]))
			if strings.Contains(row["algorithm"], "SHA1") {
				if !errors.Is(err, ErrBadSignature) {
					t.Fatalf("SHA-1 alone: err = %v, want ErrBadSignature", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(h, []byte(body+" "), []byte(row["secret"])); !errors.Is(err, ErrBadSignature) {
				t.Errorf("changed body: err = %v, want ErrBadSignature", err)
			}
			if err := p.Verify(h, []byte(body), []byte(row["secret"]+"x")); !errors.Is(err, ErrBadSignature) {
				t.Errorf("other secret: err = %v, want ErrBadSignature", err)
			}
		})
	}
}

// TestPayloadLicencesArePermissive keeps test data of another kind out.
func TestPayloadLicencesArePermissive(t *testing.T) {
	permissive := map[string]bool{"MIT": true, "ISC": true, "Apache-2.0": true, "BSD-2-Clause-Patent": true, "BSD-3-Clause": true}
	notice, err := os.ReadFile(filepath.Join(payloads, "NOTICE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range readTSV(t, filepath.Join(payloads, "INDEX.tsv")) {
		if !permissive[row["license"]] {
			t.Errorf("%s: licence %q is not known to be permissive", row["path"], row["license"])
		}
		if !strings.Contains(string(notice), row["path"]+"  from "+row["source_path"]) {
			t.Errorf("%s is missing in NOTICE", row["path"])
		}
	}
}
