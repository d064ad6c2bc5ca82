package migration

import (
	"strings"
	"unicode"
)

// token is one word of SQL: a bare word in upper case, a quoted name without its quotes, a string, a number or one sign.
type token struct {
	kind tokenKind
	text string // as written, without quotes
	word string // in upper case, for bare words; "" otherwise
	line int    // counted from 1
}

type tokenKind int

const (
	bare tokenKind = iota // SELECT, rooms, 12
	name                  // `rooms`, "rooms"
	text                  // 'standard'
	sign                  // ( ) , ; . =
)

// lexer takes SQL apart, in what MySQL, MariaDB, PostgreSQL and SQLite have in common. Where they would read a text differently
// it says so and stops: what one database takes for a comment another would run.
type lexer struct {
	src    string
	at     int
	line   int
	tokens []token
	wrong  string // why the rest was not read; "" = all was
}

func lex(src string) *lexer {
	l := &lexer{src: src, line: 1}
	for l.at < len(l.src) && l.wrong == "" {
		l.next()
	}
	return l
}

func (l *lexer) next() {
	c := l.src[l.at]
	switch {
	case c == '\n':
		l.line++
		l.at++
	case c == ' ' || c == '\t' || c == '\r':
		l.at++
	case l.has("--"):
		l.dashes()
	case l.has("/*"):
		l.comment()
	case c == '\'':
		l.quoted('\'', text)
	case c == '"' || c == '`':
		l.quoted(c, name)
	case c == '#':
		l.wrong = "# begins a comment in some databases and none in others; write --"
	case c == '\\':
		l.wrong = "a backslash outside of quotes is an order to a client program"
	case c == '$':
		l.wrong = "$ quotes a text in some databases and none in others"
	case word(rune(c)) || c >= 0x80:
		l.bare()
	default:
		l.add(sign, string(c))
		l.at++
	}
}

func (l *lexer) has(prefix string) bool { return strings.HasPrefix(l.src[l.at:], prefix) }

func (l *lexer) add(kind tokenKind, s string) {
	t := token{kind: kind, text: s, line: l.line}
	if kind == bare {
		t.word = strings.ToUpper(s)
	}
	l.tokens = append(l.tokens, t)
}

// dashes skips a comment. Some databases want a space behind the dashes, and would read on without one.
func (l *lexer) dashes() {
	rest := l.src[l.at+2:]
	if rest != "" && !strings.ContainsRune(" \t\r\n", rune(rest[0])) {
		l.wrong = "-- without a space begins a comment in some databases and none in others"
		return
	}
	end := strings.IndexByte(rest, '\n')
	if end < 0 {
		l.at = len(l.src)
		return
	}
	l.at += 2 + end
}

// comment skips one that every database skips: no order in a comment, and none inside another.
func (l *lexer) comment() {
	end := strings.Index(l.src[l.at+2:], "*/")
	if end < 0 {
		l.wrong = "a comment does not end"
		return
	}
	body := l.src[l.at+2 : l.at+2+end]
	switch {
	case strings.HasPrefix(body, "!") || strings.HasPrefix(body, "M!") || strings.HasPrefix(body, "+"):
		l.wrong = "a comment that some databases run"
	case strings.Contains(body, "/*"):
		l.wrong = "a comment inside a comment ends at one place in some databases and at another in others"
	}
	l.line += strings.Count(body, "\n")
	l.at += end + 4
}

// quoted reads what stands in quotes; a doubled quote is one.
func (l *lexer) quoted(quote byte, kind tokenKind) {
	var b strings.Builder
	begun := l.line
	for i := l.at + 1; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '\\' && quote != '`':
			l.wrong = "a backslash in quotes hides the quote behind it in some databases and not in others"
			return
		case c != quote:
			if c == '\n' {
				l.line++
			}
			b.WriteByte(c)
		case i+1 < len(l.src) && l.src[i+1] == quote:
			b.WriteByte(quote)
			i++
		default:
			l.add(kind, b.String())
			l.tokens[len(l.tokens)-1].line = begun
			l.at = i + 1
			return
		}
	}
	l.line, l.wrong = begun, "a quote does not end"
}

func (l *lexer) bare() {
	rest := l.src[l.at:]
	end := strings.IndexFunc(rest, func(r rune) bool { return !word(r) })
	if end == 0 {
		l.wrong = "a character that no statement is made of"
		return
	}
	if end < 0 {
		end = len(rest)
	}
	l.add(bare, rest[:end])
	l.at += end
}

func word(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
