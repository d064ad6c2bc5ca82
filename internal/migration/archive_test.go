package migration

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func pack(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	for _, h := range headers {
		content := h.Linkname
		if h.Typeflag == tar.TypeReg {
			h.Size, h.Linkname = int64(len(content)), ""
		}
		h.Mode = 0o644
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// file is a header that carries the file's content as its link name, for pack.
func file(name, content string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Linkname: content}
}

func TestReadPackage(t *testing.T) {
	for _, c := range []struct {
		rule    string
		archive *bytes.Buffer
		files   []string
		names   []string
	}{
		{"every file of SQL is read, wherever it lies", pack(t, file("run.sh", "DROP"), file("./m/1.sql", "DROP TABLE a"), file("m/2.SQL", "CREATE TABLE b (c INT);\nDROP TABLE c")),
			[]string{"m/1.sql", "m/2.SQL"}, []string{"m/1.sql:1: DROP TABLE a", "m/2.SQL:2: DROP TABLE c"}},
		{"a package without one could be anything", pack(t, file("migrate", "ELF")), nil, []string{"the package:0: NO SQL"}},
		{"a link is not followed", pack(t, tar.Header{Name: "a.sql", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), []string{"a.sql"}, []string{"a.sql:0: UNREAD a.sql"}},
		{"a file that is too large is not read", pack(t, file("a.sql", strings.Repeat("-", maxFile+1))), []string{"a.sql"}, []string{"a.sql:0: UNREAD a.sql"}},
		{"nor is an archive", pack(t, file("data", strings.Repeat("\x00", 4<<20)), file("a.sql", "DROP TABLE a")), nil, []string{"the package:0: UNREAD PACKAGE"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			p, err := readPackage(c.archive, 4<<20)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range p.Findings {
				names = append(names, strings.TrimSuffix(f.String(), ": "+f.Why))
			}
			if diff := cmp.Diff(c.files, p.Files); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.names, names); diff != "" {
				t.Error(diff)
			}
		})
	}
	whole := pack(t, file("a.sql", "DROP TABLE a")).Bytes()
	for cut := range whole {
		if p, err := ReadPackage(bytes.NewReader(whole[:cut])); err == nil && len(p.Findings) == 0 {
			t.Errorf("a package that breaks off at byte %d is harmless", cut)
		}
	}
}
