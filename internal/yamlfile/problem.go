package yamlfile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Problem is one mistake in a file: where it is, what is wrong, and what to write instead. It is an error.
type Problem struct {
	File   string `json:"file"`   // "topology.yaml"
	Line   int    `json:"line"`   // 14, counted from 1; 0 = no position is known
	Column int    `json:"column"` // 9, in characters, counted from 1
	Text   string `json:"text"`   // the offending text: "publik-api"
	What   string `json:"what"`   // `pool "hotel-api": after: unknown pool "publik-api"`
	Fix    string `json:"fix"`    // `did you mean "public-api"?`
	Source string `json:"source"` // the line of the file, as it is written there
}

// Error is the position, the mistake and its fix on one line, then the source line with carets under the offending text:
//
//	topology.yaml:14:13: pool "hotel-api": after: unknown pool "publik-api"; did you mean "public-api"?
//	  14 |     after: [publik-api]
//	     |             ^^^^^^^^^^
func (p *Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(clean(p.File))
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	b.WriteString(clean(p.What))
	if p.Fix != "" {
		b.WriteString("; " + clean(p.Fix))
	}
	if p.Line > 0 {
		number := fmt.Sprint(p.Line)
		source, carets := underline([]rune(p.Source), p.Column, len([]rune(p.Text)))
		fmt.Fprintf(&b, "\n  %s | %s\n  %s | %s", number, source, strings.Repeat(" ", len(number)), carets)
	}
	return b.String()
}

// shown is how many characters of a source line are printed; a longer line is cut around the mistake.
const shown = 140

// underline prepares a source line for a terminal and puts carets under width characters from column on. Wide
// characters (Chinese) take two places in a terminal, which an ideographic space takes as well.
func underline(line []rune, column, width int) (source, carets string) {
	at := min(max(column-1, 0), len(line))
	width = min(max(width, 1), max(len(line)-at, 1))
	if len(line) > shown {
		from := max(0, min(at-shown/2, len(line)-shown))
		line = line[from : from+shown]
		at -= from
		width = min(width, max(shown-at, 1))
	}
	var pad strings.Builder
	for _, r := range line[:at] {
		switch {
		case r == '\t':
			pad.WriteRune('\t')
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) || (r >= 0xFF01 && r <= 0xFF60):
			pad.WriteRune('\u3000')
		default:
			pad.WriteByte(' ')
		}
	}
	return clean(string(line)), pad.String() + strings.Repeat("^", width)
}

// clean replaces what a terminal would obey: files come from people who push, and messages are shown to others.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

var password = regexp.MustCompile(`://[^/\s:@"']*:[^@/\s"']+@`)

// mask hides passwords in URLs, place by place so that columns stay: messages are read by more people than files.
func mask(text string) string {
	return password.ReplaceAllStringFunc(text, func(found string) string {
		user, secret, _ := strings.Cut(strings.TrimPrefix(found, "://"), ":")
		return "://" + user + ":" + strings.Repeat("*", len([]rune(secret))-1) + "@"
	})
}

// Problems are all mistakes of a file; as an error it lists them in the order of the file. errors.As finds the first
// *Problem.
type Problems []*Problem

// listed is how many problems Error prints; the rest is counted.
const listed = 25

// Error lists the problems, each as Problem.Error.
func (ps Problems) Error() string {
	lines := make([]string, 0, len(ps))
	for i, p := range ps {
		if i == listed {
			lines = append(lines, fmt.Sprintf("… and %d more", len(ps)-listed))
			break
		}
		lines = append(lines, p.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.Is and errors.As the single problems.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// Err returns the problems sorted by position and without repetitions as an error, or nil when there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps.Sorted()
}

// Sorted returns the problems in the order of the file. An alias shows a mistake once, however often it is used.
func (ps Problems) Sorted() Problems {
	sorted := slices.Clone(ps)
	slices.SortStableFunc(sorted, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	type key struct {
		line, column int
		what         string
	}
	seen := map[key]bool{}
	return slices.DeleteFunc(sorted, func(p *Problem) bool {
		k := key{p.Line, p.Column, p.What}
		repeated := seen[k]
		seen[k] = true
		return repeated
	})
}
