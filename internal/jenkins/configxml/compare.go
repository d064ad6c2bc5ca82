package configxml

import "strings"

// lists are the elements whose children are a list in which one more or one
// fewer changes what the job does. Everywhere else a child is a field, and a
// field that only Jenkins wrote is a default.
var lists = map[string]bool{
	"builders": true, "publishers": true, "buildWrappers": true, "triggers": true,
	"properties": true, "parameterDefinitions": true, "choices": true, "a": true,
	"branches": true, "userRemoteConfigs": true,
}

// Covers reports whether the stored document already does everything that the
// wanted one asks for. It is not symmetric: stored may have more fields.
func Covers(stored, wanted *Node) bool {
	if stored.Name != wanted.Name || !coversAttrs(stored, wanted) {
		return false
	}
	if len(wanted.Kids) == 0 && len(stored.Kids) == 0 {
		return text(stored) == text(wanted)
	}
	if lists[wanted.Name] {
		return coversList(stored.Kids, wanted.Kids)
	}
	for _, w := range wanted.Kids {
		s := stored.Child(w.Name)
		switch {
		case s == nil && len(w.Kids) == 0 && text(w) == "": // an empty element may be left out
		case s == nil || !Covers(s, w):
			return false
		}
	}
	return true
}

func coversList(stored, wanted []*Node) bool {
	if len(stored) != len(wanted) {
		return false
	}
	for i := range wanted {
		if !Covers(stored[i], wanted[i]) {
			return false
		}
	}
	return true
}

// coversAttrs leaves out "plugin", which holds the version of a plugin and
// changes with every upgrade of it.
func coversAttrs(stored, wanted *Node) bool {
	for _, a := range wanted.Attrs {
		if a.Name != "plugin" && stored.Attr(a.Name) != a.Value {
			return false
		}
	}
	return true
}

// text is compared without the carriage returns that XML normalises away.
func text(n *Node) string {
	t := strings.ReplaceAll(n.Text, "\r\n", "\n")
	if strings.TrimSpace(t) == "" {
		return ""
	}
	return t
}
