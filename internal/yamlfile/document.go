// Package yamlfile reads the YAML files people write for Railyard, strictly, and says everything that is wrong with one at
// once: file, line, column, the offending text, and the fix.
//
// goccy/go-yaml reads the text into a tree with positions. The tree is decoded here, because goccy's decoder stops at
// the first mistake and turns `version: 1.10` into "1.1": an unknown field, a number where text belongs, or a list where
// a mapping belongs is a Problem. Of YAML it takes what configuration needs: mappings, lists, scalars, anchors,
// aliases and merge keys. Tags, directives and several documents in a file are refused. Files may come from anybody who may push: size,
// depth and what aliases expand to are bounded.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// MaxSize is how many bytes Parse reads. A topology of 60,000 servers takes about 8 MiB.
const MaxSize = 16 << 20

// Document is a file that is YAML. It is immutable. The methods of a nil *Document work and know no position.
type Document struct {
	name    string
	lines   []string
	root    ast.Node
	anchors map[string]ast.Node // an anchor's name → its value
	budget  int                 // how many nodes a decoding may visit, aliases expanded
}

// Parse reads data as one YAML document. name is what messages call the file. The error is a Problems.
func Parse(name string, data []byte) (doc *Document, err error) {
	d := &Document{name: name, anchors: map[string]ast.Node{}}
	if p := d.readLines(data); p != nil {
		return nil, Problems{p}
	}
	defer func() {
		if r := recover(); r != nil { // the YAML library's, on input it did not foresee
			doc, err = nil, Problems{d.at(nil, "this is not YAML that can be read", "write it more plainly")}
		}
	}()
	text := strings.Join(d.lines, "\n")
	tokens := lexer.Tokenize(text)
	if p := d.guard(tokens); p != nil {
		return nil, Problems{p}
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, Problems{d.syntax(err)}
	}
	if err := d.takeRoot(file); err != nil {
		return nil, err
	}
	d.budget = 10_000 + 100*len(tokens)
	return d, nil
}

// readLines takes the text apart after checking that it is text.
func (d *Document) readLines(data []byte) *Problem {
	if len(data) > MaxSize {
		return d.at(nil, fmt.Sprintf("the file has %d bytes; at most %d are read", len(data), MaxSize), "split or shorten it")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	d.lines = strings.Split(string(data), "\n")
	for n, line := range d.lines {
		for column, r := range []rune(line) {
			control := r < ' ' && r != '\t' || r == 0x7f
			if control || r == utf8.RuneError && !utf8.ValidString(line) {
				what := fmt.Sprintf("control character %q", r)
				if !control {
					what = "this is not UTF-8 text"
				}
				return d.place(n+1, column+1, "", what, "save the file as UTF-8 text")
			}
		}
	}
	return nil
}

// takeRoot keeps the one document of the file and its anchors.
func (d *Document) takeRoot(file *ast.File) error {
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case d.root != nil:
			return Problems{d.at(first(doc.Body), "a second document begins here", "keep one document in the file, and no ---")}
		default:
			d.root = doc.Body
		}
	}
	if d.root == nil {
		return Problems{d.at(nil, "the file is empty", "")}
	}
	var found Problems
	d.bindAnchors(d.root, &found)
	return found.Err()
}

// bindAnchors learns the anchors in the order of the file, so that an alias only reaches back and nothing can contain
// itself.
func (d *Document) bindAnchors(node ast.Node, found *Problems) {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			d.bindAnchors(v, found)
		}
	case *ast.MappingValueNode:
		d.bindAnchors(n.Value, found)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			d.bindAnchors(v, found)
		}
	case *ast.AnchorNode:
		name := n.Name.GetToken().Value
		d.bindAnchors(n.Value, found)
		if d.anchors[name] != nil {
			*found = append(*found, d.at(n.Name.GetToken(), fmt.Sprintf("anchor %q is defined twice", name), "give one of them another name"))
			return
		}
		d.anchors[name] = n.Value
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		if d.anchors[name] == nil {
			var known []string
			for k := range d.anchors {
				known = append(known, k)
			}
			*found = append(*found, d.at(n.Value.GetToken(), fmt.Sprintf("alias *%s: no anchor &%s is above it", name, name), Choose(name, known)))
		}
	}
}

// Depth and length limits, far above what a person writes. They keep the recursive parser's stack and paths small.
const (
	maxDepth = 64
	maxKey   = 256
)

// guard refuses what the parser must not be given.
func (d *Document) guard(tokens token.Tokens) *Problem {
	var columns []int // of the block collections that are open
	flow, chain := 0, 0
	for i, tk := range tokens {
		switch tk.Type {
		case token.TagType:
			return d.at(tk, "tags are not used in this file", "write the value alone")
		case token.DirectiveType:
			return d.at(tk, "directives are not used in this file", "remove the line")
		case token.AnchorType:
			if i >= 2 && tokens[i-2].Type == token.AnchorType {
				return d.at(tk, "two anchors on one value", "keep one")
			}
		case token.SequenceStartType, token.MappingStartType:
			flow++
			chain = 0
		case token.SequenceEndType, token.MappingEndType:
			flow = max(0, flow-1)
			chain = 0
		case token.CollectEntryType:
			chain = 0
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			column := tk.Position.Column
			if tk.Type == token.MappingValueType && i > 0 && tokens[i-1].Position.Line == tk.Position.Line {
				column = tokens[i-1].Position.Column
				if len(tokens[i-1].Value) > maxKey {
					return d.at(tokens[i-1], fmt.Sprintf("a key of %d bytes; at most %d are read", len(tokens[i-1].Value), maxKey), "shorten it")
				}
			}
			if flow > 0 {
				chain++
				break
			}
			for len(columns) > 0 && columns[len(columns)-1] > column {
				columns = columns[:len(columns)-1]
			}
			if len(columns) == 0 || columns[len(columns)-1] < column {
				columns = append(columns, column)
			}
		}
		if len(columns)+flow > maxDepth || chain > maxDepth {
			return d.at(tk, fmt.Sprintf("nested deeper than %d levels", maxDepth), "flatten it")
		}
	}
	return nil
}

var elsewhere = regexp.MustCompile(` at \[(\d+):(\d+)\]`)

// syntax converts an error of the YAML library.
func (d *Document) syntax(err error) *Problem {
	var e yaml.Error
	if !errors.As(err, &e) {
		return d.at(nil, "not valid YAML: "+err.Error(), "")
	}
	what := elsewhere.ReplaceAllString(e.GetMessage(), " on line $1")
	fix := "check quotes, brackets and indentation here and on the line above"
	switch {
	case strings.Contains(what, "already defined"):
		fix = "keep one of the two"
	case strings.Contains(what, "'\t'"):
		what = strings.ReplaceAll(what, "'\t'", "a tab")
		fix = "indent with spaces"
	case strings.Contains(what, "could not find end character"):
		fix = "close the quotes"
	case strings.Contains(what, "not found"):
		fix = "close the bracket"
	}
	return d.at(e.GetToken(), "not valid YAML: "+what, fix)
}
