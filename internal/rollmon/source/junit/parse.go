package junit

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"railyard/internal/rollmon"
)

// Bounds of a report: more is no report of tests.
const (
	MaxBytes = 32 << 20 // of one file
	maxDepth = 64
	maxTests = 1_000_000
	named    = 3 // failed tests that are named
)

// Parse counts the tests of a JUnit XML file. Of a test that has several outcomes the worst counts; skipped ones count as
// neither. A suite that says it has more failures than tests that failed (it could not be set up) is believed.
//
// Only plain XML in UTF-8 is read: a document type is refused, so that no entity is ever resolved.
func Parse(text []byte) (rollmon.Report, error) {
	if len(text) > MaxBytes {
		return rollmon.Report{}, fmt.Errorf("it has more than %d bytes", MaxBytes)
	}
	p := parser{dec: xml.NewDecoder(bytes.NewReader(text))}
	p.dec.Strict = true
	err := p.run()
	if err == nil && !p.rooted {
		err = errors.New("it has no testsuites or testsuite")
	}
	if err != nil {
		return rollmon.Report{}, fmt.Errorf("it is no JUnit XML: %w", err)
	}
	r := rollmon.Report{Passed: p.passed, Failed: max(p.failed, p.claimed), Words: strings.Join(p.names, "; ")}
	if more := r.Failed - len(p.names); more > 0 && len(p.names) > 0 {
		r.Words += fmt.Sprintf(" and %d more", more)
	}
	if r.Failed > 0 && r.Words == "" {
		r.Words = "a suite says that it failed, without a failed test"
	}
	return r, nil
}

type parser struct {
	dec    *xml.Decoder
	depth  int
	rooted bool

	test    string // of the testcase that is open: "BookingTest.cancel"
	in      int    // depth of it; 0 = none
	failure string // its failure
	bad     bool
	skipped bool

	passed, failed, claimed int
	names                   []string
}

func (p *parser) run() error {
	for {
		token, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.Directive:
			return errors.New("it has a document type, which no report needs")
		case xml.StartElement:
			if err := p.open(t); err != nil {
				return err
			}
		case xml.EndElement:
			p.close()
		}
	}
}

func (p *parser) open(e xml.StartElement) error {
	p.depth++
	if p.depth > maxDepth {
		return fmt.Errorf("its elements are nested more than %d deep", maxDepth)
	}
	name := e.Name.Local
	if p.depth == 1 {
		if name != "testsuites" && name != "testsuite" {
			return fmt.Errorf("its root is %q", name)
		}
		p.rooted = true
	}
	switch {
	case name == "testsuite":
		p.claimed += number(e, "failures") + number(e, "errors")
	case name == "testcase" && p.in == 0:
		if p.passed+p.failed > maxTests {
			return fmt.Errorf("it has more than %d tests", maxTests)
		}
		p.in, p.bad, p.skipped, p.failure = p.depth, false, false, ""
		p.test = strings.TrimPrefix(attribute(e, "classname")+"."+attribute(e, "name"), ".")
	case p.in > 0 && (name == "failure" || name == "error") && p.depth == p.in+1:
		p.bad = true
		if p.failure == "" {
			p.failure = attribute(e, "message")
		}
	case p.in > 0 && name == "skipped" && p.depth == p.in+1:
		p.skipped = true
	}
	return nil
}

func (p *parser) close() {
	if p.in == p.depth {
		p.in = 0
		switch {
		case p.bad:
			p.failed++
			if len(p.names) < named {
				p.names = append(p.names, words(p.test, p.failure))
			}
		case !p.skipped:
			p.passed++
		}
	}
	p.depth--
}

// words names a failed test in one short line.
func words(test, failure string) string {
	line := strings.Join(strings.Fields(test+": "+failure), " ")
	line = strings.TrimSuffix(line, ":")
	const long = 200
	if runes := []rune(line); len(runes) > long {
		line = string(runes[:long]) + "…"
	}
	return line
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// number reads a count. What is none counts as none: the tests themselves are counted.
func number(e xml.StartElement, name string) int {
	n, err := strconv.Atoi(strings.TrimSpace(attribute(e, name)))
	if err != nil || n < 0 || n > maxTests {
		return 0
	}
	return n
}
