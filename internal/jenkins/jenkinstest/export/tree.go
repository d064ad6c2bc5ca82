package export

import (
	"fmt"
	"strconv"
	"strings"
)

// Tree is the pruner of a request with tree=spec, for example
// "jobs[name,builds[number,result]{0,20}],quietingDown". Names that no object
// has are ignored; a spec that does not parse is an error (Jenkins answers 500).
func Tree(spec string) (Pruner, error) {
	p := &treeParser{spec: spec}
	root := &treeNode{}
	if err := p.list(root); err != nil {
		return nil, fmt.Errorf("malformed tree expression %q: %w", spec, err)
	}
	if p.at < len(spec) {
		return nil, fmt.Errorf("malformed tree expression %q: unexpected %q at %d", spec, spec[p.at], p.at)
	}
	return root, nil
}

type treeNode struct {
	kids     map[string]*treeNode
	ranged   bool
	from, to int // to < 0: no end
}

func (t *treeNode) accept(f Field) Pruner {
	if k := t.kids[f.Name]; k != nil {
		return k
	}
	if k := t.kids["*"]; k != nil {
		return k
	}
	return nil
}

func (t *treeNode) cut(n int) (int, int) {
	if !t.ranged {
		return 0, n
	}
	to := n
	if t.to >= 0 {
		to = min(t.to, n)
	}
	return min(t.from, to), to
}

type treeParser struct {
	spec string
	at   int
}

func (p *treeParser) list(into *treeNode) error {
	for {
		if err := p.node(into); err != nil {
			return err
		}
		if !p.take(',') {
			return nil
		}
	}
}

func (p *treeParser) node(parent *treeNode) error {
	start := p.at
	for p.at < len(p.spec) && !strings.ContainsRune(",[]{}", rune(p.spec[p.at])) {
		p.at++
	}
	name := p.spec[start:p.at]
	if name == "" {
		return fmt.Errorf("a name is missing at %d", start)
	}
	if parent.kids == nil {
		parent.kids = map[string]*treeNode{}
	}
	node := parent.kids[name]
	if node == nil {
		node = &treeNode{to: -1}
		parent.kids[name] = node
	}
	if p.take('[') {
		if err := p.list(node); err != nil {
			return err
		}
		if !p.take(']') {
			return fmt.Errorf("%q is missing at %d", "]", p.at)
		}
	}
	if p.take('{') {
		return p.rangeOf(node)
	}
	return nil
}

// rangeOf reads {m,n}, {m,}, {,n} or {n}: from m up to but without n, or only
// element n.
func (p *treeParser) rangeOf(node *treeNode) error {
	end := strings.IndexByte(p.spec[p.at:], '}')
	if end < 0 {
		return fmt.Errorf("%q is missing after %d", "}", p.at)
	}
	text := p.spec[p.at : p.at+end]
	p.at += end + 1
	from, to, isRange := strings.Cut(text, ",")
	node.ranged = true
	number := func(s string, otherwise int) (int, error) {
		if s == "" && isRange {
			return otherwise, nil
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("range {%s}: %q is not a number", text, s)
		}
		return n, nil
	}
	var err error
	if node.from, err = number(from, 0); err != nil {
		return err
	}
	if !isRange {
		node.to = node.from + 1
		return nil
	}
	node.to, err = number(to, -1)
	return err
}

func (p *treeParser) take(c byte) bool {
	if p.at < len(p.spec) && p.spec[p.at] == c {
		p.at++
		return true
	}
	return false
}
