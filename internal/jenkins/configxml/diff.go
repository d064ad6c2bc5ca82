package configxml

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is one thing that a stored document does not do as the wanted one asks.
type Difference struct {
	Path   string // "definition/script"
	Stored string // text of it; "" when it is absent
	Wanted string
}

// lists are the elements whose children are a list in which one more or one
// fewer changes what the job does. Everywhere else a child is a field, and a
// field that only Jenkins wrote is a default. Properties are fields too: a
// Jenkinsfile adds some when it runs.
var lists = map[string]bool{
	"builders": true, "publishers": true, "buildWrappers": true, "triggers": true,
	"parameterDefinitions": true, "branches": true, "userRemoteConfigs": true,
}

// texts are the elements that hold a list of strings, which versions of Jenkins
// wrap differently.
var texts = map[string]bool{"choices": true, "jobNames": true}

// Covers reports whether the stored document already does everything that the
// wanted one asks for. It is not symmetric: stored may have more fields.
func Covers(stored, wanted *Node) bool { return len(Diff(stored, wanted)) == 0 }

// Diff lists what the stored document does not do as the wanted one asks. Fields
// that only the stored one has are no difference.
func Diff(stored, wanted *Node) []Difference {
	if stored.Name != wanted.Name {
		return []Difference{{"", stored.Name, wanted.Name}}
	}
	return diff("", stored, wanted)
}

func diff(path string, stored, wanted *Node) []Difference {
	var out []Difference
	for _, a := range wanted.Attrs {
		// "plugin" holds the version of a plugin, which changes with every upgrade of it.
		if s := stored.Attr(a.Name); a.Name != "plugin" && s != a.Value && !texts[wanted.Name] {
			out = append(out, Difference{path + "@" + a.Name, s, a.Value})
		}
	}
	switch {
	case texts[wanted.Name]:
		if s, w := stringsIn(stored), stringsIn(wanted); !slices.Equal(s, w) {
			out = append(out, Difference{path, strings.Join(s, "\n"), strings.Join(w, "\n")})
		}
	case len(wanted.Kids) == 0 && len(stored.Kids) == 0:
		if s, w := text(stored), text(wanted); s != w {
			out = append(out, Difference{path, s, w})
		}
	case lists[wanted.Name]:
		out = append(out, diffList(path, stored.Kids, wanted.Kids)...)
	default:
		for _, w := range wanted.Kids {
			out = append(out, diffField(join(path, w.Name), stored.Child(w.Name), w)...)
		}
	}
	return out
}

func diffField(path string, stored, wanted *Node) []Difference {
	switch {
	case stored != nil:
		return diff(path, stored, wanted)
	case len(wanted.Kids) == 0 && text(wanted) == "": // an empty element may be left out
		return nil
	}
	return []Difference{{path, "", summary(wanted)}}
}

func diffList(path string, stored, wanted []*Node) []Difference {
	var out []Difference
	for i := range max(len(stored), len(wanted)) {
		at := fmt.Sprintf("%s/%d", path, i+1)
		switch {
		case i >= len(stored):
			out = append(out, Difference{at, "", summary(wanted[i])})
		case i >= len(wanted):
			out = append(out, Difference{at, summary(stored[i]), ""})
		case stored[i].Name != wanted[i].Name:
			out = append(out, Difference{at, summary(stored[i]), summary(wanted[i])})
		default:
			out = append(out, diff(at, stored[i], wanted[i])...)
		}
	}
	return out
}

func join(path, name string) string { return strings.TrimPrefix(path+"/"+name, "/") }

// summary is an element in one piece of text.
func summary(n *Node) string {
	if len(n.Kids) == 0 {
		return strings.TrimSpace("<" + n.Name + "> " + n.Text)
	}
	var b strings.Builder
	for _, line := range strings.SplitAfterN(string(n.Bytes()), "\n", 2)[1:] {
		b.WriteString(line)
	}
	return b.String()
}

// stringsIn are the texts of all <string> elements below n.
func stringsIn(n *Node) []string {
	var out []string
	if n.Name == "string" {
		out = append(out, n.Text)
	}
	for _, k := range n.Kids {
		out = append(out, stringsIn(k)...)
	}
	return out
}

// text is compared without the carriage returns that XML normalises away.
func text(n *Node) string {
	t := strings.ReplaceAll(n.Text, "\r\n", "\n")
	if strings.TrimSpace(t) == "" {
		return ""
	}
	return t
}
