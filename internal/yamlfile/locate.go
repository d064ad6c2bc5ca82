package yamlfile

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Problem is a mistake at path, which is written "$.pools[2].after[0]". Where the path leads to nothing (a field that is
// missing), the position is that of the part that exists.
func (d *Document) Problem(path, what, fix string) *Problem {
	if d == nil {
		return &Problem{What: what, Fix: fix}
	}
	node, whole := d.walk(path)
	p := d.at(first(node), what, fix)
	if !whole {
		p.Text = ""
	}
	return p
}

// Has reports whether the file says something at path, be it the zero value. An explicit null is nothing.
func (d *Document) Has(path string) bool {
	if d == nil {
		return false
	}
	node, whole := d.walk(path)
	_, null := node.(*ast.NullNode)
	return whole && !null
}

var step = regexp.MustCompile(`\.([A-Za-z0-9_-]+)|\[(\d+)\]`)

// walk follows path as far as it exists, through aliases and merge keys.
func (d *Document) walk(path string) (node ast.Node, whole bool) {
	node = d.root
	for _, s := range step.FindAllStringSubmatch(strings.TrimPrefix(path, "$"), -1) {
		var next ast.Node
		if s[1] != "" {
			next = d.entry(node, s[1])
		} else if list, ok := d.resolve(node).(*ast.SequenceNode); ok {
			if i, err := strconv.Atoi(s[2]); err == nil && i < len(list.Values) {
				next = list.Values[i]
			}
		}
		if next == nil {
			return node, false
		}
		node = d.resolve(next)
	}
	return node, true
}

// entry is the value of key in a mapping, or nil. What stands in the mapping wins over what is merged into it.
func (d *Document) entry(node ast.Node, key string) ast.Node {
	var merged []ast.Node
	for _, v := range entries(d.resolve(node)) {
		switch {
		case v.Key.IsMergeKey():
			merged = append(merged, d.mergeSources(v.Value)...)
		case v.Key.GetToken().Value == key:
			return v.Value
		}
	}
	for _, m := range merged {
		if found := d.entry(m, key); found != nil {
			return found
		}
	}
	return nil
}

// mergeSources are the nodes a merge key names: one, or a list.
func (d *Document) mergeSources(node ast.Node) []ast.Node {
	if list, ok := d.resolve(node).(*ast.SequenceNode); ok {
		return list.Values
	}
	return []ast.Node{node}
}

// resolve follows an alias to its anchor, and an anchor to its value.
func (d *Document) resolve(node ast.Node) ast.Node {
	for {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.AliasNode:
			node = d.anchors[n.Value.GetToken().Value]
		default:
			return node
		}
	}
}

// entries are the entries of a mapping; nil for anything else.
func entries(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

// first is the token a node begins with.
func first(node ast.Node) *token.Token {
	switch n := node.(type) {
	case nil:
		return nil
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return first(n.Values[0])
		}
		return n.Start
	case *ast.MappingValueNode:
		return first(n.Key)
	case *ast.SequenceNode:
		return n.Start
	case *ast.LiteralNode:
		return n.Start
	case *ast.AnchorNode:
		return n.Start
	}
	return node.GetToken()
}

// at is a mistake at a token; nil = the beginning of the file.
func (d *Document) at(tk *token.Token, what, fix string) *Problem {
	if tk == nil || tk.Position == nil {
		return &Problem{File: d.name, What: what, Fix: fix}
	}
	text := tk.Value
	if tk.Type == token.ImplicitNullType {
		text = ""
	}
	text, _, _ = strings.Cut(text, "\n")
	line, column := tk.Position.Line, tk.Position.Column
	if visible := strings.TrimLeft(text, " "); tk.Type == token.InvalidType && visible != "" {
		text = visible
	}
	if line >= 1 && line <= len(d.lines) {
		column = settle([]rune(d.lines[line-1]), column, []rune(text))
	}
	return d.place(line, column, text, what, fix)
}

// settle moves a column to where the text is shown: behind an opening quote, and elsewhere on the line where the
// lexer counts wrongly, as it does after some multi-line values.
func settle(line []rune, column int, text []rune) int {
	shows := func(at int) bool {
		return at >= 0 && at+len(text) <= len(line) && string(line[at:at+len(text)]) == string(text)
	}
	if len(text) == 0 || shows(column-1) {
		return column
	}
	if shows(column) {
		return column + 1
	}
	for at := range line {
		if shows(at) {
			return at + 1
		}
	}
	return min(column, len(line)+1)
}

// place is a mistake at a position.
func (d *Document) place(line, column int, text, what, fix string) *Problem {
	p := &Problem{File: d.name, Line: line, Column: column, Text: mask(text), What: mask(what), Fix: mask(fix)}
	if line >= 1 && line <= len(d.lines) {
		p.Source = mask(d.lines[line-1])
	}
	return p
}
