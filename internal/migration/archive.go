package migration

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Bounds of what is read. A migration that needs more than that is not read by a person either.
const (
	maxFile    = 1 << 20  // bytes of one file of SQL
	maxArchive = 64 << 20 // bytes of the whole archive, unpacked
)

// Package is what was read of a database package.
type Package struct {
	Files    []string // "migrations/007_rooms.sql", in the order of the archive
	Findings []Finding
}

// ReadPackage checks every file of SQL in a package, a tar archive compressed with gzip. A package without any, and one that is too
// large to be read, is a finding: what was not read is not known to be harmless. The error says that it is no such archive.
func ReadPackage(r io.Reader) (Package, error) { return readPackage(r, maxArchive) }

func readPackage(r io.Reader, most int64) (Package, error) {
	var p Package
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return p, fmt.Errorf("read the migrations of a package: %w", err)
	}
	limited := &io.LimitedReader{R: unzipped, N: most}
	archive := tar.NewReader(limited)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if limited.N <= 0 {
			p.Findings = append(p.Findings, Finding{File: "the package", Name: "UNREAD PACKAGE", Why: fmt.Sprintf("it has more than %d bytes", most)})
			return p, nil
		}
		if err != nil {
			return p, fmt.Errorf("read the migrations of a package: %w", err)
		}
		if !strings.EqualFold(path.Ext(header.Name), ".sql") || header.Typeflag == tar.TypeDir {
			continue
		}
		name := path.Clean(header.Name)
		p.Files = append(p.Files, name)
		found, err := readFile(archive, name, header)
		if err != nil {
			return p, err
		}
		p.Findings = append(p.Findings, found...)
	}
	if len(p.Files) == 0 {
		p.Findings = append(p.Findings, Finding{File: "the package", Name: "NO SQL", Why: "it holds no file that ends with .sql, so nothing of what it does could be read"})
	}
	return p, nil
}

func readFile(archive io.Reader, name string, header *tar.Header) ([]Finding, error) {
	if header.Typeflag != tar.TypeReg {
		return []Finding{{File: name, Name: "UNREAD " + name, Why: "it is a link"}}, nil
	}
	if header.Size > maxFile {
		return []Finding{{File: name, Name: "UNREAD " + name, Why: fmt.Sprintf("it has %d bytes; at most %d are read", header.Size, maxFile)}}, nil
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return nil, fmt.Errorf("read %s of a package: %w", name, err)
	}
	return Check(name, string(text)), nil
}
