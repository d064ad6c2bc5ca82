package yamlfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"railyard/internal/yamlfile"
)

type yard struct {
	Name    string             `yaml:"name"`
	Tracks  int                `yaml:"tracks"`
	Slope   float64            `yaml:"slope"`
	Open    *bool              `yaml:"open"`
	Pause   *pause             `yaml:"pause"`
	Wagons  []wagon            `yaml:"wagons"`
	Codes   []string           `yaml:"codes"`
	Limits  map[string]float64 `yaml:"limits"`
	Private string             `yaml:"-"`
}

type wagon struct {
	Name string `yaml:"name"`
	Load *load  `yaml:"load"`
}

type load struct {
	Kind   string `yaml:"kind"`
	Weight int    `yaml:"weight"`
}

type pause time.Duration

func (p *pause) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*p = pause(d)
	return err
}

func decode(text string) (yard, error) {
	var y yard
	doc, err := yamlfile.Parse("yard.yaml", []byte(text))
	if err != nil {
		return y, err
	}
	return y, doc.Decode(&y)
}

func TestDecode(t *testing.T) {
	open := false
	second := pause(time.Second)
	for _, tc := range []struct {
		rule, text string
		want       yard
	}{
		{"every kind of field is read", `
name: north
tracks: 4
slope: 2
open: false
pause: 1s
codes: [a, "1.10"]
limits: {steel: 1.5, coal: 2}
wagons:
  - name: w1
    load: {kind: coal, weight: 20}
`, yard{
			Name: "north", Tracks: 4, Slope: 2, Open: &open, Pause: &second, Codes: []string{"a", "1.10"},
			Limits: map[string]float64{"steel": 1.5, "coal": 2}, Wagons: []wagon{{"w1", &load{"coal", 20}}},
		}},
		{"a field left out and a null keep the zero value", "name: north\nopen:\nwagons: ~\n", yard{Name: "north"}},
		{"block text is read with its lines", "name: |\n  one\n  two\n", yard{Name: "one\ntwo\n"}},
		{"a windows file and a byte order mark are read", "\ufeffname: north\r\ntracks: 4\r\n", yard{Name: "north", Tracks: 4}},
		{"an alias repeats what its anchor holds", "wagons:\n- {name: w1, load: &l {kind: coal, weight: 1}}\n- {name: w2, load: *l}\n",
			yard{Wagons: []wagon{{"w1", &load{"coal", 1}}, {"w2", &load{"coal", 1}}}}},
		{"what stands in a mapping wins over what is merged into it", "wagons:\n- {name: w1, load: &l {kind: coal, weight: 1}}\n- name: w2\n  load:\n    weight: 7\n    <<: *l\n",
			yard{Wagons: []wagon{{"w1", &load{"coal", 1}}, {"w2", &load{"coal", 7}}}}},
		{"of several merged mappings the first wins", "wagons:\n- {load: &l {weight: 1}}\n- {load: &m {weight: 2, kind: ore}}\n- load: {<<: [*l, *m]}\n",
			yard{Wagons: []wagon{{"", &load{"", 1}}, {"", &load{"ore", 2}}, {"", &load{"ore", 1}}}}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			got, err := decode(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	for _, tc := range []struct{ rule, text, want string }{
		{"an unknown field is refused, with the nearest known one", "name: north\ntrakcs: 4\n", `
yard.yaml:2:1: unknown field "trakcs"; did you mean "tracks"?
  2 | trakcs: 4
    | ^^^^^^`},
		{"a field that is not for files is unknown", "private: x\n", `
yard.yaml:1:1: unknown field "private"; known: name, tracks, slope, open, pause, wagons, codes, limits
  1 | private: x
    | ^^^^^^^`},
		{"a number is not taken for text", "name: 1.10\n", `
yard.yaml:1:7: name: expected text, found the number 1.10; quote it: "1.10"
  1 | name: 1.10
    |       ^^^^`},
		{"text is not taken for a number", "tracks: four\nslope: 2%\n", `
yard.yaml:1:9: tracks: expected a whole number, found the text "four"; write digits only, without quotes, unit or %
  1 | tracks: four
    |         ^^^^
yard.yaml:2:8: slope: expected a number, found the text "2%"; write digits only, without quotes, unit or %
  2 | slope: 2%
    |        ^^`},
		{"yes is not true", "open: yes\n", `
yard.yaml:1:7: open: expected true or false, found the text "yes"; write true or false, without quotes
  1 | open: yes
    |       ^^^`},
		{"infinity is no number", "slope: .inf\n", `
yard.yaml:1:8: slope: expected a number, found the number .inf; write digits only, without quotes, unit or %
  1 | slope: .inf
    |        ^^^^`},
		{"a single item where a list belongs", "codes: a\n", `
yard.yaml:1:8: codes: expected a list, found the text "a"; write [a]
  1 | codes: a
    |        ^`},
		{"a mapping where a list belongs", "wagons:\n  name: w1\n", `
yard.yaml:2:3: wagons: expected a list, found a mapping; write one item per line with a leading -
  2 |   name: w1
    |   ^^^^`},
		{"a list's item is named by its name", "wagons:\n- name: w1\n  load: heavy\n- load: {kinds: coal}\n", `
yard.yaml:3:9: wagons["w1"].load: expected a mapping, found the text "heavy"; write it as fields: kind, weight
  3 |   load: heavy
    |         ^^^^^
yard.yaml:4:10: wagons[1].load: unknown field "kinds"; did you mean "kind"?
  4 | - load: {kinds: coal}
    |          ^^^^^`},
		{"a mistake behind an alias is shown once, where it stands", "wagons:\n- {load: &l {kind: 1}}\n- {load: *l}\n- {load: *l}\n", `
yard.yaml:2:20: wagons[0].load.kind: expected text, found the number 1; quote it: "1"
  2 | - {load: &l {kind: 1}}
    |                    ^`},
		{"carets stand under the text behind wide characters", "limits: {酒店: x}\n", `
yard.yaml:1:14: limits.酒店: expected a number, found the text "x"; write digits only, without quotes, unit or %
  1 | limits: {酒店: x}
    |          　　  ^`},
		{"a number that does not fit", "tracks: 99999999999999999999\n", `
yard.yaml:1:9: tracks: expected a whole number, found the text "99999999999999999999"; write digits only, without quotes, unit or %
  1 | tracks: 99999999999999999999
    |         ^^^^^^^^^^^^^^^^^^^^`},
		{"a password in a URL is not repeated, whatever is wrong on its line", "codes: \"https://bot:s3cret@git.example/x\" # https://b:pw@y\n", `
yard.yaml:1:9: codes: expected a list, found the text "https://bot:******@git.example/x"; write [https://bot:******@git.example/x]
  1 | codes: "https://bot:******@git.example/x" # https://b:**@y
    |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^`},
		{"a duration without a unit", "pause: 5\n", `
yard.yaml:1:8: pause: time: missing unit in duration "5"
  1 | pause: 5
    |        ^`},
		{"a key given twice", "name: a\ntracks: 1\nname: b\n", `
yard.yaml:3:1: not valid YAML: mapping key "name" already defined on line 1; keep one of the two
  3 | name: b
    | ^^^^`},
		{"quotes that do not end", "name: \"north\n", `
yard.yaml:1:7: not valid YAML: could not find end character of double-quoted text; close the quotes
  1 | name: "north
    |       ^^^^^^`},
		{"a tab as indentation", "wagons:\n\t- name: a\n", `
yard.yaml:2:1: not valid YAML: found character a tab that cannot start any token; indent with spaces
  2 | 	- name: a
    | ^`},
		{"a bracket that does not close", "codes: [a, b\nname: x\n", `
yard.yaml:2:1: not valid YAML: ',' or ']' must be specified; check quotes, brackets and indentation here and on the line above
  2 | name: x
    | ^^^^`},
		{"a second document", "name: a\n---\nname: b\n", `
yard.yaml:3:1: a second document begins here; keep one document in the file, and no ---
  3 | name: b
    | ^^^^`},
		{"an empty file", "# nothing\n", `
yard.yaml: the file is empty`},
		{"a tag", "name: !!str 12\n", `
yard.yaml:1:7: tags are not used in this file; write the value alone
  1 | name: !!str 12
    |       ^^^^^`},
		{"an alias without an anchor", "wagons:\n- {load: &coal {weight: 1}}\n- {load: *coall}\n", `
yard.yaml:3:11: alias *coall: no anchor &coall is above it; did you mean "coal"?
  3 | - {load: *coall}
    |           ^^^^^`},
		{"an anchor that contains itself", "wagons: &w\n- {load: *w}\n", `
yard.yaml:2:11: alias *w: no anchor &w is above it; none is known
  2 | - {load: *w}
    |           ^`},
		{"a control character", "name: a\x1b[31mred\n", `
yard.yaml:1:8: control character '\x1b'; save the file as UTF-8 text
  1 | name: a�[31mred
    |        ^`},
		{"bytes that are not UTF-8", "name: caf\xe9\n", `
yard.yaml:1:10: this is not UTF-8 text; save the file as UTF-8 text
  1 | name: caf�
    |          ^`},
		{"a key that is no word", "? a\n: b\n", `
yard.yaml:1:1: a key must be a plain word; write key: value
  1 | ? a
    | ^`},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			_, err := decode(tc.text)
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(strings.TrimPrefix(tc.want, "\n"), err.Error()); diff != "" {
				t.Error(diff)
			}
			var p *yamlfile.Problem
			if !errors.As(err, &p) || p.File != "yard.yaml" {
				t.Errorf("errors.As found %#v", p)
			}
		})
	}
}

func TestProblemAtPath(t *testing.T) {
	doc, err := yamlfile.Parse("y", []byte("name: n\nwagons:\n  - &w\n    name: w1\n    load:\n      kind: coal\n  - <<: *w\n    name: w2\n  - *w\nopen:\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, at, text string
		has            bool
	}{
		{"$.name", "1:7", "n", true},
		{"$.wagons[0].load.kind", "6:13", "coal", true},
		{"$.wagons[1].name", "8:11", "w2", true},
		{"$.wagons[1].load.kind", "6:13", "coal", true},
		{"$.wagons[2].name", "4:11", "w1", true},
		{"$.wagons[1].load.weight", "6:7", "", false},
		{"$.wagons[7].name", "3:3", "", false},
		{"$.tracks", "1:1", "", false},
		{"$.open", "10:7", "", false},
	} {
		t.Run(tc.path, func(t *testing.T) {
			p := doc.Problem(tc.path, "wrong", "")
			if got := fmt.Sprintf("%d:%d", p.Line, p.Column); got != tc.at || p.Text != tc.text {
				t.Errorf("at %s %q, want %s %q", got, p.Text, tc.at, tc.text)
			}
			if doc.Has(tc.path) != tc.has {
				t.Errorf("Has = %v", !tc.has)
			}
		})
	}
	if p := (*yamlfile.Document)(nil).Problem("$.x", "wrong", "right"); p.Error() != "wrong; right" {
		t.Errorf("without a document: %q", p.Error())
	}
}

func TestBounds(t *testing.T) {
	bomb := "wagons:\n- &a0 {name: a}\n"
	for i := range 12 {
		bomb += fmt.Sprintf("- &a%d {<<: [%s]}\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
	}
	lists := "codes: &a0 [x]\nwagons:\n"
	for i := range 12 {
		lists += fmt.Sprintf("- load: &a%d [%s]\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 9), ","))
	}
	for _, tc := range []struct{ rule, text, want string }{
		{"a merge bomb is bounded", bomb, ""},
		{"a file above the size cap is refused", strings.Repeat("#", yamlfile.MaxSize+1), "at most 16777216 are read"},
		{"nested brackets are bounded", "codes: " + strings.Repeat("[", 1_000_000), "nested deeper"},
		{"nested dashes are bounded", strings.Repeat("- ", 1_000_000), "nested deeper"},
		{"nested question marks are bounded", strings.Repeat("? ", 1_000_000), "nested deeper"},
		{"nested question marks in brackets are bounded", "[" + strings.Repeat("? ", 100_000), "nested deeper"},
		{"repeated anchors are bounded", "a: " + strings.Repeat("&a ", 1_000_000), "two anchors"},
		{"a key's length is bounded", strings.Repeat("k", 1000) + ": {a: 1}", "a key of 1000 bytes"},
		{"a list bomb is bounded", lists, "expected a mapping"},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			_, err := decode(tc.text)
			if tc.want == "" && (err == nil || strings.Contains(err.Error(), "far more")) {
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %.300v, want …%s…", err, tc.want)
			}
		})
	}
}

type tree struct {
	Children []tree `yaml:"children"`
}

func TestAliasBombIsRefused(t *testing.T) {
	text := "children:\n- &a0 {children: [{}, {}, {}, {}, {}, {}, {}, {}]}\n"
	for i := range 20 {
		text += fmt.Sprintf("- &a%d {children: [*a%d, *a%d, *a%d, *a%d]}\n", i+1, i, i, i, i)
	}
	doc, err := yamlfile.Parse("bomb.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var root tree
	if err := doc.Decode(&root); err == nil || !strings.Contains(err.Error(), "aliases expand to far more than the file holds") {
		t.Fatalf("got %v", err)
	}
}

func TestLongListsOfProblemsAreCut(t *testing.T) {
	_, err := decode("codes: [" + strings.Repeat("1, ", 100) + "1]\n")
	if err == nil || !strings.HasSuffix(err.Error(), "… and 76 more") {
		t.Fatalf("got %v", err)
	}
	for line := range strings.Lines(err.Error()) {
		if len([]rune(line)) > 170 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"public-api", "jobws", "hotel-api", "hotel-app", "a"}
	for name, want := range map[string]string{
		"publik-api": "public-api", "pubilc-api": "public-api", "JOBWS": "jobws", "hotel-ap": "hotel-api",
		"flight": "", "": "", "b": "",
	} {
		if got := yamlfile.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

// check: whatever parses and decodes, or says why not; it never panics, and every position lies in the file.
func check(t interface{ Fatalf(string, ...any) }, data []byte) {
	var y yard
	doc, err := yamlfile.Parse("f", data)
	if err == nil {
		err = doc.Decode(&y)
		_ = doc.Problem("$.wagons[0].load.kind", "", "").Error()
	}
	var all yamlfile.Problems
	if err == nil {
		return
	}
	if !errors.As(err, &all) || len(all) == 0 || err.Error() == "" {
		t.Fatalf("%q: not Problems: %v", data, err)
	}
	lines := strings.Count(string(data), "\n") + 1
	for _, p := range all {
		if p.Line < 0 || p.Line > lines || p.Line > 0 && (p.Column < 1 || p.Column > len([]rune(p.Source))+2) {
			t.Fatalf("%q: position %d:%d: %v", data, p.Line, p.Column, p)
		}
	}
}

func TestNoInputPanics(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"name: ", "tracks: ", "wagons:", "- ", "load: ", "  ", "\n", "\n", "[", "]", "{", "}", ",", ": ", "? ", "&a ", "*a",
		"<<: ", "|\n", ">-\n", "\"", "'", "# c\n", "---\n", "...\n", "!!map ", "%YAML 1.2\n", "~", "1.5", "0x1f", ".nan", "\t", "é酒", "\\u00", "x",
	})
	rapid.Check(t, func(t *rapid.T) {
		check(t, []byte(strings.Join(rapid.SliceOfN(piece, 0, 40).Draw(t, "pieces"), "")))
		check(t, rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "bytes"))
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"name: a\nwagons:\n- &w {name: b}\n- *w\n", "a: |\n x\n", "? a\n: b\n", "{a: [1, {b: c}]}", "\"a\\x\"", "<<: *a"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}
