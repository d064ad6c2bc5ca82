package migration

// alter reads ALTER TABLE: each of its actions, which commas part, is harmless or a finding of its own.
func (c *checker) alter(s statement) {
	rest := s.drop(2).without("IF", "EXISTS").without("ONLY")
	table, actions := rest.takeName()
	if table == "" {
		c.unknown(s)
		return
	}
	for _, a := range actions.parts() {
		c.action(s, table, a)
	}
}

func (c *checker) action(s statement, table string, a statement) {
	at := statement{append(s.tokens[:1:1], a.tokens...)} // for the line, when the action is empty
	if len(a.tokens) > 0 {
		at = a
	}
	column := func(skip int, optional ...string) string {
		n, _ := a.drop(skip).without("COLUMN").without(optional...).takeName()
		return table + "." + n
	}
	switch {
	case a.begins("ADD"):
		c.addition(at, table, a.drop(1))
	case a.begins("DROP", "CONSTRAINT"), a.begins("DROP", "INDEX"), a.begins("DROP", "KEY"), a.begins("DROP", "PRIMARY"), a.begins("DROP", "FOREIGN"):
		c.say(at, a.words(2)+" "+table+" "+a.drop(2).words(2), "what it kept out may come in, and what it made quick is slow")
	case a.begins("DROP"):
		c.say(at, "DROP COLUMN "+column(1, "IF", "EXISTS"), "what is in it is lost")
	case a.begins("RENAME", "COLUMN"):
		c.say(at, "RENAME COLUMN "+column(1), "what runs now still asks for the old name")
	case a.begins("RENAME"):
		c.say(at, "RENAME TABLE "+table, "what runs now still asks for the old name")
	case a.begins("MODIFY"), a.begins("CHANGE"), a.begins("ALTER"):
		c.say(at, "CHANGE COLUMN "+column(1), "its type may become narrower, or what runs now may not be able to fill it")
	default:
		c.say(at, "ALTER TABLE "+table+" "+a.words(4), "it is not known to be harmless")
	}
}

// addition reads what ADD adds. A new column is harmless when it may be empty or has a default, and nothing is demanded of it.
func (c *checker) addition(at statement, table string, a statement) {
	switch {
	case a.begins("INDEX"), a.begins("KEY"):
	case a.begins("CONSTRAINT"), a.begins("UNIQUE"), a.begins("PRIMARY"), a.begins("FOREIGN"), a.begins("CHECK"):
		c.say(at, "ADD CONSTRAINT "+table+" "+a.words(3), "what runs now may write rows that it refuses")
	case a.begins("FULLTEXT"), a.begins("SPATIAL"), a.begins("PARTITION"), a.begins("PERIOD"), a.begins("SYSTEM"):
		c.say(at, "ALTER TABLE "+table+" ADD "+a.words(3), "it is not known to be harmless")
	default:
		name, rest := a.without("COLUMN").without("IF", "NOT", "EXISTS").takeName()
		switch {
		case name == "":
			c.say(at, "ALTER TABLE "+table+" ADD "+a.words(3), "it is not known to be harmless")
		case rest.together("NOT", "NULL") && !rest.has("DEFAULT"):
			c.say(at, "ADD COLUMN "+table+"."+name+" NOT NULL", "what runs now does not fill it, and it has no default")
		case rest.has("UNIQUE") || rest.has("PRIMARY") || rest.has("REFERENCES") || rest.has("CHECK"):
			c.say(at, "ADD COLUMN "+table+"."+name+" CONSTRAINT", "what runs now may write rows that it refuses")
		}
	}
}
