// Package configxml reads and compares Jenkins config.xml documents.
//
// Jenkins stores a job as XML that it writes again in its own way: version 1.1
// in the declaration (which encoding/xml refuses), its own indentation, and
// elements with default values that nobody sent. So documents are compared by
// meaning, never by bytes.
package configxml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Node is one element.
type Node struct {
	Name  string // "hudson.tasks.Shell"
	Attrs []Attr
	Text  string // character data; "" for elements that have children
	Kids  []*Node
}

// Attr is one attribute of an element.
type Attr struct {
	Name  string // "class"
	Value string // "hudson.scm.NullSCM"
}

// declaration is removed before parsing: Jenkins writes version 1.1, and
// encoding/xml knows 1.0 only.
var declaration = regexp.MustCompile(`^\s*<\?xml[^>]*\?>`)

// Parse reads one document.
func Parse(doc []byte) (*Node, error) {
	d := xml.NewDecoder(bytes.NewReader(declaration.ReplaceAll(doc, nil)))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var root *Node
	var open []*Node
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("parse config.xml: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			n := &Node{Name: t.Name.Local}
			for _, a := range t.Attr {
				n.Attrs = append(n.Attrs, Attr{a.Name.Local, a.Value})
			}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.Kids = append(parent.Kids, n)
			case root != nil:
				return nil, fmt.Errorf("parse config.xml: second root element <%s>", n.Name)
			default:
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			last := open[len(open)-1]
			if len(last.Kids) > 0 {
				last.Text = ""
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].Text += string(t)
			}
		}
	}
	if root == nil {
		return nil, errors.New("parse config.xml: no element in it")
	}
	return root, nil
}

// Child is the first child element called name, or nil. It may be called on nil.
func (n *Node) Child(name string) *Node {
	if n == nil {
		return nil
	}
	for _, k := range n.Kids {
		if k.Name == name {
			return k
		}
	}
	return nil
}

// Value is the text of the child called name; "" when there is none.
func (n *Node) Value(name string) string {
	if k := n.Child(name); k != nil {
		return k.Text
	}
	return ""
}

// Attr is the value of the attribute called name; "" when there is none.
func (n *Node) Attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// Bytes writes the document as Jenkins does: version 1.1, two spaces, empty
// elements closed in place.
func (n *Node) Bytes() []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version='1.1' encoding='UTF-8'?>\n")
	n.write(&b, 0)
	return b.Bytes()
}

func (n *Node) write(b *bytes.Buffer, depth int) {
	indent := strings.Repeat("  ", depth)
	b.WriteString(indent + "<" + n.Name)
	for _, a := range n.Attrs {
		fmt.Fprintf(b, ` %s="%s"`, a.Name, escape(a.Value))
	}
	switch {
	case len(n.Kids) > 0:
		b.WriteString(">\n")
		for _, k := range n.Kids {
			k.write(b, depth+1)
			b.WriteString("\n")
		}
		b.WriteString(indent + "</" + n.Name + ">")
	case n.Text != "":
		b.WriteString(">" + escape(n.Text) + "</" + n.Name + ">")
	default:
		b.WriteString("/>")
	}
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\r", "&#xd;")

func escape(s string) string { return escaper.Replace(s) }

// Set gives the child called name a text, and makes it the first child if there
// was none.
func (n *Node) Set(name, text string) {
	if k := n.Child(name); k != nil {
		k.Text, k.Kids = text, nil
		return
	}
	n.Kids = append([]*Node{{Name: name, Text: text}}, n.Kids...)
}
