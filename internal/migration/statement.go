package migration

import (
	"slices"
	"strings"
)

// statement is a row of tokens without its semicolon, or a part of one.
type statement struct{ tokens []token }

// begins reports whether the statement begins with these bare words.
func (s statement) begins(words ...string) bool {
	if len(s.tokens) < len(words) {
		return false
	}
	for i, w := range words {
		if s.tokens[i].word != w {
			return false
		}
	}
	return true
}

// has reports whether a bare word stands anywhere in it.
func (s statement) has(word string) bool {
	return slices.ContainsFunc(s.tokens, func(t token) bool { return t.word == word })
}

// together reports whether two bare words stand one behind the other.
func (s statement) together(first, second string) bool {
	for i := 1; i < len(s.tokens); i++ {
		if s.tokens[i-1].word == first && s.tokens[i].word == second {
			return true
		}
	}
	return false
}

func (s statement) drop(n int) statement { return statement{s.tokens[min(n, len(s.tokens)):]} }

// without drops these words where the statement begins with them.
func (s statement) without(words ...string) statement {
	if len(words) > 0 && s.begins(words...) {
		return s.drop(len(words))
	}
	return s
}

// takeName takes a name, with its schema if it has one: rooms, hotel.rooms. "" when the statement does not begin with one.
func (s statement) takeName() (string, statement) {
	var parts []string
	for len(s.tokens) > 0 && s.tokens[0].kind <= name {
		parts = append(parts, s.tokens[0].text)
		s = s.drop(1)
		if len(s.tokens) == 0 || s.tokens[0].kind != sign || s.tokens[0].text != "." {
			break
		}
		s = s.drop(1)
	}
	return strings.Join(parts, "."), s
}

// object is the name that the statement begins with, and those that commas add.
func (s statement) object() string {
	var names []string
	for _, part := range s.parts() {
		n, _ := part.takeName()
		names = append(names, n)
	}
	return strings.Join(names, ", ")
}

// parts splits at commas that stand outside of parentheses.
func (s statement) parts() (parts []statement) {
	depth, from := 0, 0
	for i, t := range s.tokens {
		if t.kind != sign {
			continue
		}
		switch t.text {
		case "(":
			depth++
		case ")":
			depth--
		case ",":
			if depth == 0 {
				parts = append(parts, statement{s.tokens[from:i]})
				from = i + 1
			}
		}
	}
	return append(parts, statement{s.tokens[from:]})
}

// words are the first n tokens as one text: bare words in upper case, names without quotes.
func (s statement) words(n int) string {
	var out []string
	for _, t := range s.tokens[:min(n, len(s.tokens))] {
		if t.word != "" {
			out = append(out, t.word)
		} else {
			out = append(out, t.text)
		}
	}
	return strings.Join(out, " ")
}
