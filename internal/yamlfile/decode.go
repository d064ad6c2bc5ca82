package yamlfile

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Decode fills the struct that v points to. A field is named by its `yaml` tag. Text, whole numbers, numbers,
// truth values, lists, structs, pointers, maps by name, and encoding.TextUnmarshaler are understood; a field that the file leaves
// out keeps its value. The error is a Problems with every unknown field and every value of the wrong kind.
func (d *Document) Decode(v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("decode %s: expected a pointer, got %T", d.name, v)
	}
	dec := &decoder{doc: d, budget: d.budget, told: map[ast.Node]bool{}}
	dec.value(d.root, target.Elem(), "")
	return dec.found.Err()
}

// decoder is one run of Decode. label names the place in messages: pools["hotel-api"].sites[0].
type decoder struct {
	doc    *Document
	budget int
	spent  bool
	found  Problems
	told   map[ast.Node]bool
}

// problem notes a mistake at node, once: an alias leads to it again under another label.
func (dec *decoder) problem(node ast.Node, label, what, fix string) {
	if dec.told[node] {
		return
	}
	dec.told[node] = true
	if label != "" {
		what = label + ": " + what
	}
	dec.found = append(dec.found, dec.doc.at(first(node), what, fix))
}

// value decodes node into v, following aliases.
func (dec *decoder) value(node ast.Node, v reflect.Value, label string) {
	if dec.budget--; dec.budget < 0 {
		if !dec.spent {
			dec.spent = true
			dec.problem(node, "", "aliases expand to far more than the file holds", "write it out")
		}
		return
	}
	node = dec.doc.resolve(node)
	if _, null := node.(*ast.NullNode); null {
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		dec.text(node, u, label)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		dec.value(node, fresh.Elem(), label)
		v.Set(fresh)
	case reflect.Struct:
		dec.structure(node, v, label)
	case reflect.Map:
		dec.mapping(node, v, label)
	case reflect.Slice:
		dec.list(node, v, label)
	default:
		dec.scalar(node, v, label)
	}
}

func (dec *decoder) text(node ast.Node, u encoding.TextUnmarshaler, label string) {
	scalar, ok := node.(ast.ScalarNode)
	if !ok {
		dec.wrong(node, label, "a single value", "")
		return
	}
	if err := u.UnmarshalText([]byte(scalarText(scalar))); err != nil {
		dec.problem(node, label, err.Error(), "")
	}
}

func scalarText(node ast.ScalarNode) string {
	if s, ok := stringValue(node); ok {
		return s
	}
	return node.GetToken().Value
}

func stringValue(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	return "", false
}

func (dec *decoder) structure(node ast.Node, v reflect.Value, label string) {
	if !isMapping(node) {
		dec.wrong(node, label, "a mapping", "write it as fields: "+strings.Join(fieldNames(v.Type()), ", "))
		return
	}
	dec.fields(node, v, label, map[string]bool{})
}

// fields decodes a mapping's own entries, then what is merged into it and not yet set.
func (dec *decoder) fields(node ast.Node, v reflect.Value, label string, set map[string]bool) {
	var merged []ast.Node
	own := map[string]bool{}
	for _, e := range entries(node) {
		if e.Key.IsMergeKey() {
			merged = append(merged, dec.doc.mergeSources(e.Value)...)
			continue
		}
		key, ok := dec.key(e, label, own)
		if !ok || set[key] {
			continue
		}
		own[key] = true
		i, known := fieldIndex(v.Type(), key)
		if !known {
			dec.problem(e.Key, label, fmt.Sprintf("unknown field %q", key), Choose(key, fieldNames(v.Type())))
			continue
		}
		dec.value(e.Value, v.Field(i), join(label, key))
	}
	for key := range own {
		set[key] = true
	}
	for _, m := range merged {
		if dec.budget--; dec.budget < 0 {
			return
		}
		if m = dec.doc.resolve(m); !isMapping(m) {
			dec.wrong(m, join(label, "<<"), "a mapping", "merge an alias of a mapping: <<: *name")
			continue
		}
		dec.fields(m, v, label, set)
	}
}

// key is an entry's key: a plain word, once in a mapping.
func (dec *decoder) key(e *ast.MappingValueNode, label string, own map[string]bool) (string, bool) {
	switch e.Key.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
	default:
		dec.problem(e.Key, label, "a key must be a plain word", "write key: value")
		return "", false
	}
	key := e.Key.GetToken().Value
	if own[key] {
		dec.problem(e.Key, label, fmt.Sprintf("%q is given twice", key), "keep one of the two")
		return "", false
	}
	return key, true
}

func (dec *decoder) mapping(node ast.Node, v reflect.Value, label string) {
	if !isMapping(node) {
		dec.wrong(node, label, "a mapping", "write it as name: value")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	own := map[string]bool{}
	for _, e := range entries(node) {
		key, ok := dec.key(e, label, own)
		if !ok {
			continue
		}
		own[key] = true
		item := reflect.New(v.Type().Elem()).Elem()
		dec.value(e.Value, item, join(label, key))
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
	}
}

func (dec *decoder) list(node ast.Node, v reflect.Value, label string) {
	seq, ok := node.(*ast.SequenceNode)
	if !ok {
		fix := "write one item per line with a leading -"
		if scalar, ok := node.(ast.ScalarNode); ok && !isStructural(v.Type().Elem()) {
			fix = fmt.Sprintf("write [%s]", scalar.GetToken().Value)
		}
		dec.wrong(node, label, "a list", fix)
		return
	}
	items := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	v.Set(items)
	for i, item := range seq.Values {
		dec.value(item, items.Index(i), dec.itemLabel(label, i, item))
	}
}

// itemLabel names a list's item by the name it gives itself, for that is what its author knows.
func (dec *decoder) itemLabel(label string, i int, item ast.Node) string {
	for _, e := range entries(dec.doc.resolve(item)) {
		if e.Key.GetToken().Value == "name" {
			if name, ok := stringValue(dec.doc.resolve(e.Value)); ok && len(name) <= maxKey {
				return fmt.Sprintf("%s[%q]", label, name)
			}
		}
	}
	return fmt.Sprintf("%s[%d]", label, i)
}

func (dec *decoder) scalar(node ast.Node, v reflect.Value, label string) {
	switch v.Kind() {
	case reflect.String:
		if s, ok := stringValue(node); ok {
			v.SetString(s)
			return
		}
		fix := ""
		if _, single := node.(ast.ScalarNode); single {
			fix = "quote it: " + strconv.Quote(node.GetToken().Value)
		}
		dec.wrong(node, label, "text", fix)
	case reflect.Bool:
		if n, ok := node.(*ast.BoolNode); ok {
			v.SetBool(n.Value)
			return
		}
		dec.wrong(node, label, "true or false", "write true or false, without quotes")
	case reflect.Int, reflect.Int64:
		dec.integer(node, v, label)
	case reflect.Float64:
		dec.number(node, v, label)
	default:
		panic("yamlfile: fields of type " + v.Type().String() + " are not understood")
	}
}

func (dec *decoder) integer(node ast.Node, v reflect.Value, label string) {
	n, ok := node.(*ast.IntegerNode)
	if !ok {
		dec.wrong(node, label, "a whole number", "write digits only, without quotes, unit or %")
		return
	}
	switch i := n.Value.(type) {
	case int64:
		if !v.OverflowInt(i) {
			v.SetInt(i)
			return
		}
	case uint64:
		if i <= 1<<63-1 && !v.OverflowInt(int64(i)) {
			v.SetInt(int64(i))
			return
		}
	}
	dec.problem(node, label, "the number "+n.GetToken().Value+" is too large", "")
}

func (dec *decoder) number(node ast.Node, v reflect.Value, label string) {
	switch n := node.(type) {
	case *ast.FloatNode:
		v.SetFloat(n.Value)
	case *ast.IntegerNode:
		switch i := n.Value.(type) {
		case int64:
			v.SetFloat(float64(i))
		case uint64:
			v.SetFloat(float64(i))
		}
	default:
		dec.wrong(node, label, "a number", "write digits only, without quotes, unit or %")
	}
}

// wrong says that node is of the wrong kind.
func (dec *decoder) wrong(node ast.Node, label, expected, fix string) {
	dec.problem(node, label, "expected "+expected+", found "+describe(node), fix)
}

func describe(node ast.Node) string {
	switch n := node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		s, _ := stringValue(n)
		if r := []rune(s); len(r) > 40 {
			s = string(r[:40]) + "…"
		}
		return "the text " + strconv.Quote(s)
	case *ast.IntegerNode, *ast.FloatNode, *ast.NanNode, *ast.InfinityNode:
		return "the number " + n.GetToken().Value
	case *ast.BoolNode:
		return n.GetToken().Value
	}
	return "something else"
}

func isMapping(node ast.Node) bool {
	switch node.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

func isStructural(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Map || t.Kind() == reflect.Slice
}

func join(label, key string) string {
	if label == "" {
		return key
	}
	return label + "." + key
}

// fieldName is the name of a struct's field in a file; "" = it is not in files.
func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	switch {
	case !f.IsExported() || name == "-":
		return ""
	case name == "":
		return strings.ToLower(f.Name)
	}
	return name
}

func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if name := fieldName(t.Field(i)); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func fieldIndex(t reflect.Type, key string) (int, bool) {
	for i := range t.NumField() {
		if key != "" && fieldName(t.Field(i)) == key {
			return i, true
		}
	}
	return 0, false
}
