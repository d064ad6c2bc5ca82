// Package migration reads the SQL that a database package brings and says which of its statements may lose something or may
// break what runs now. It is pure.
//
// It is a list of what is harmless, not of what is dangerous: a new table, index or view, a new column that may be empty or has a
// default, new rows. Whatever else a file says, and whatever cannot be read for certain, is a Finding with a name; a plan
// lets it through by that name and no other way. No SQL parser is asked: each knows one database, and what it does not know
// it refuses to read, while here that has to come out as a finding.
package migration

import (
	"fmt"
	"slices"
	"strings"
)

// Finding is a statement that a plan must name.
type Finding struct {
	File string // "migrations/007_rooms.sql"
	Line int    // 12, counted from 1
	Name string // "DROP COLUMN rooms.legacy": what the plan has to say
	Why  string // "what is in it is lost"
}

// String is "migrations/007_rooms.sql:12: DROP COLUMN rooms.legacy: what is in it is lost".
func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Name, f.Why) }

// Check returns the findings of one file of SQL in the order of its statements.
func Check(file, sql string) []Finding {
	l := lex(sql)
	c := &checker{file: file}
	rest := l.tokens
	for len(rest) > 0 {
		end := slices.IndexFunc(rest, func(t token) bool { return t.kind == sign && t.text == ";" })
		if end < 0 {
			end = len(rest)
		}
		if s := (statement{rest[:end]}); len(s.tokens) > 0 {
			c.statement(s)
		}
		rest = rest[min(end+1, len(rest)):]
	}
	if l.wrong != "" {
		c.found = append(c.found, Finding{File: file, Line: l.line, Name: "UNREAD " + file, Why: l.wrong})
	}
	return c.found
}

// Unnamed returns the findings that a plan does not name. Names are compared without regard to case and spaces.
func Unnamed(findings []Finding, named []string) []Finding {
	known := map[string]bool{}
	for _, n := range named {
		known[fold(n)] = true
	}
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return known[fold(f.Name)] })
}

func fold(name string) string { return strings.ToUpper(strings.Join(strings.Fields(name), " ")) }

// checker collects the findings of a file.
type checker struct {
	file  string
	found []Finding
}

func (c *checker) say(s statement, name, why string) {
	c.found = append(c.found, Finding{File: c.file, Line: s.tokens[0].line, Name: name, Why: why})
}

// unknown is every statement that is not known to be harmless.
func (c *checker) unknown(s statement) {
	c.say(s, s.words(6), "it is not known to be harmless")
}

func (c *checker) statement(s statement) {
	switch {
	case s.begins("BEGIN"), s.begins("COMMIT"), s.begins("START", "TRANSACTION"):
		if len(s.tokens) > 2 {
			c.unknown(s)
		}
	case s.begins("CREATE"):
		c.create(s)
	case s.begins("ALTER", "TABLE"):
		c.alter(s)
	case s.begins("INSERT", "INTO"):
		if s.has("UPDATE") || s.has("REPLACE") {
			c.say(s, "INSERT UPDATE "+s.drop(2).object(), "rows that are there may be overwritten")
		}
	case s.begins("DROP"), s.begins("TRUNCATE"):
		c.say(s, s.words(2)+" "+s.drop(2).without("IF", "EXISTS").object(), "what is in it is lost")
	case s.begins("DELETE", "FROM"):
		c.say(s, "DELETE FROM "+s.drop(2).object(), "rows are lost")
	case s.begins("UPDATE"):
		c.say(s, "UPDATE "+s.drop(1).object(), "what the rows said is lost")
	case s.begins("RENAME"):
		c.say(s, s.words(2)+" "+s.drop(2).object(), "what runs now still asks for the old name")
	default:
		c.unknown(s)
	}
}

func (c *checker) create(s statement) {
	what := s.drop(1)
	switch {
	case what.begins("TABLE"):
		if s.has("SELECT") {
			c.unknown(s)
		}
	case what.begins("INDEX"), what.begins("VIEW"):
	case what.begins("UNIQUE", "INDEX"):
		c.say(s, "CREATE UNIQUE INDEX "+what.drop(2).without("CONCURRENTLY").without("IF", "NOT", "EXISTS").object(), "what runs now may write rows that it refuses")
	default:
		c.unknown(s)
	}
}
