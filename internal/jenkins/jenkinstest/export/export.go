// Package export writes the objects of Jenkins' remote API the way its Stapler
// library does.
//
// An Object has fields, and a field has a visibility. A request with depth=N
// shows fields whose visibility is high enough for the level they are on; a
// request with tree= names the fields it wants, at any level, and may cut
// lists with a range such as builds[number]{0,20}.
package export

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Object is one exported bean.
type Object struct {
	Class  string // "hudson.model.FreeStyleBuild"
	Fields []Field
}

// Field is one exported property. Value is nil, a string, bool, number,
// map[string]any, []string, *Object, []*Object, a List, or a func() any that is
// called only when somebody asks for the field.
type Field struct {
	Name       string
	Visibility int
	Value      any
}

// List is a long list whose objects are made only when they are written.
type List struct {
	Len int
	At  func(i int) *Object
}

// Show is a field with the usual visibility 1: seen at the top level only.
func Show(name string, value any) Field { return Field{name, 1, value} }

// ShowAt is a field with a visibility of its own: 2 is also seen one level
// down, 999 everywhere, 0 from depth=1 on, and so forth.
func ShowAt(visibility int, name string, value any) Field { return Field{name, visibility, value} }

// Pruner decides which fields are written.
type Pruner interface {
	// accept returns the pruner of the field's value, or nil to leave it out.
	accept(f Field) Pruner
	// cut returns the part of a list of n elements to write: [from, to).
	cut(n int) (from, to int)
}

// ByDepth is the pruner of a request with depth=n.
func ByDepth(n int) Pruner { return depthPruner(1 - n) }

type depthPruner int

func (p depthPruner) accept(f Field) Pruner {
	if f.Visibility < int(p) {
		return nil
	}
	return p + 1
}

func (depthPruner) cut(n int) (int, int) { return 0, n }

// JSON renders o as Jenkins does, with _class first in every object.
func JSON(o *Object, p Pruner, pretty bool) ([]byte, error) {
	var b bytes.Buffer
	if err := writeObject(&b, o, p); err != nil {
		return nil, err
	}
	if !pretty {
		return b.Bytes(), nil
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, b.Bytes(), "", "  "); err != nil {
		return nil, fmt.Errorf("indent the JSON: %w", err)
	}
	return indented.Bytes(), nil
}

func writeObject(b *bytes.Buffer, o *Object, p Pruner) error {
	b.WriteString("{")
	first := true
	name := func(n string) error {
		if !first {
			b.WriteString(",")
		}
		first = false
		return writePlain(b, n, ":")
	}
	if o.Class != "" {
		if err := name("_class"); err != nil {
			return err
		}
		if err := writePlain(b, o.Class, ""); err != nil {
			return err
		}
	}
	for _, f := range o.Fields {
		inner := p.accept(f)
		if inner == nil {
			continue
		}
		if err := name(f.Name); err != nil {
			return err
		}
		if err := writeValue(b, f.Value, inner); err != nil {
			return fmt.Errorf("field %s of %s: %w", f.Name, o.Class, err)
		}
	}
	b.WriteString("}")
	return nil
}

func writeValue(b *bytes.Buffer, v any, p Pruner) error {
	switch v := v.(type) {
	case func() any:
		return writeValue(b, v(), p)
	case *Object:
		if v == nil {
			b.WriteString("null")
			return nil
		}
		return writeObject(b, v, p)
	case []*Object:
		return writeList(b, List{len(v), func(i int) *Object { return v[i] }}, p)
	case List:
		return writeList(b, v, p)
	default:
		return writePlain(b, v, "")
	}
}

func writeList(b *bytes.Buffer, l List, p Pruner) error {
	b.WriteString("[")
	from, to := p.cut(l.Len)
	for i := from; i < to; i++ {
		if i > from {
			b.WriteString(",")
		}
		if err := writeObject(b, l.At(i), p); err != nil {
			return err
		}
	}
	b.WriteString("]")
	return nil
}

func writePlain(b *bytes.Buffer, v any, after string) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b.Write(text)
	b.WriteString(after)
	return nil
}
