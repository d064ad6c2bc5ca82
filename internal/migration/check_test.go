package migration

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		rule, sql string
		want      []string // "line: name"
	}{
		{"new tables, indexes, views and rows are harmless", `
BEGIN;
CREATE TABLE IF NOT EXISTS rooms (id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL, price INT CHECK (price > 0));
CREATE INDEX rooms_name ON rooms (name);
CREATE VIEW cheap AS SELECT id FROM rooms WHERE price < 100;
INSERT INTO rooms VALUES (1, 'suite; DROP TABLE rooms', 400);
COMMIT;`, nil},
		{"a new column that may be empty or has a default is harmless", "ALTER TABLE rooms ADD COLUMN floor INT, ADD view_of TEXT NULL, ADD COLUMN stars INT NOT NULL DEFAULT 3, ADD INDEX by_floor (floor)", nil},
		{"comments are nothing", "-- DROP TABLE rooms;\n/* DROP TABLE rooms; */ CREATE INDEX i ON rooms (id)", nil},
		{"a dropped table is named", "CREATE INDEX i ON r (a);\nDROP TABLE IF EXISTS hotel.rooms, guests;", []string{"2: DROP TABLE hotel.rooms, guests"}},
		{"a dropped column is named, however it is written", "ALTER TABLE `rooms` DROP COLUMN `legacy`, DROP old, DROP COLUMN IF EXISTS \"Older\"",
			[]string{"1: DROP COLUMN rooms.legacy", "1: DROP COLUMN rooms.old", "1: DROP COLUMN rooms.Older"}},
		{"so is one that stands behind what is harmless", "ALTER TABLE rooms\n  ADD COLUMN a DECIMAL(10, 2),\n  DROP COLUMN b", []string{"3: DROP COLUMN rooms.b"}},
		{"renaming", "ALTER TABLE rooms RENAME COLUMN a TO b; ALTER TABLE rooms RENAME TO chambers; RENAME TABLE rooms TO chambers;",
			[]string{"1: RENAME COLUMN rooms.a", "1: RENAME TABLE rooms", "1: RENAME TABLE rooms"}},
		{"a type that may become narrower", "ALTER TABLE rooms MODIFY price SMALLINT; ALTER TABLE rooms CHANGE COLUMN a b INT; ALTER TABLE rooms ALTER COLUMN price TYPE smallint",
			[]string{"1: CHANGE COLUMN rooms.price", "1: CHANGE COLUMN rooms.a", "1: CHANGE COLUMN rooms.price"}},
		{"a column that what runs now does not fill", "ALTER TABLE rooms ADD COLUMN stars INT NOT NULL", []string{"1: ADD COLUMN rooms.stars NOT NULL"}},
		{"demands on what runs now", "ALTER TABLE rooms ADD CONSTRAINT u UNIQUE (name), ADD COLUMN g INT REFERENCES guests (id); CREATE UNIQUE INDEX CONCURRENTLY u ON rooms (name)",
			[]string{"1: ADD CONSTRAINT rooms CONSTRAINT U UNIQUE", "1: ADD COLUMN rooms.g CONSTRAINT", "1: CREATE UNIQUE INDEX u"}},
		{"rows that are lost", "DELETE FROM rooms WHERE id = 1; UPDATE rooms SET name = ''; TRUNCATE TABLE rooms; INSERT INTO rooms VALUES (1) ON DUPLICATE KEY UPDATE id = 2",
			[]string{"1: DELETE FROM rooms", "1: UPDATE rooms", "1: TRUNCATE TABLE rooms", "1: INSERT UPDATE rooms"}},
		{"whatever is not known to be harmless", "CALL cleanup(); CREATE FUNCTION f() RETURNS int; SELECT drop_everything(); GRANT ALL ON x TO y; WITH d AS (DELETE FROM rooms) SELECT 1",
			[]string{"1: CALL CLEANUP ( )", "1: CREATE FUNCTION F ( ) RETURNS", "1: SELECT DROP_EVERYTHING ( )", "1: GRANT ALL ON X TO Y", "1: WITH D AS ( DELETE FROM"}},
		{"an action that is not known", "ALTER TABLE rooms ENGINE = MyISAM; ALTER TABLE rooms ADD (a INT, b INT); ALTER TABLE rooms", []string{"1: ALTER TABLE rooms ENGINE = MYISAM", "1: ALTER TABLE rooms ADD ( A INT", "1: ALTER TABLE rooms "}},
		{"an order in a comment", "CREATE TABLE a (b INT);\n/*!50000 DROP TABLE a */", []string{"2: UNREAD f.sql"}},
		{"a comment in a comment", "/* a /* b */ DROP TABLE x; */", []string{"1: UNREAD f.sql"}},
		{"dashes that some databases subtract with", "SELECT 1--1; DROP TABLE x", []string{"1: SELECT 1", "1: UNREAD f.sql"}},
		{"a backslash that may hide a quote", `INSERT INTO a VALUES ('\'); DROP TABLE a; --')`, []string{"1: UNREAD f.sql"}},
		{"quotes, comments and dollars without end", "INSERT INTO a VALUES ('x", []string{"1: UNREAD f.sql"}},
		{"a dollar", "DO $$ BEGIN DROP TABLE a; END $$", []string{"1: DO", "1: UNREAD f.sql"}},
		{"a client's order", "\\connect other", []string{"1: UNREAD f.sql"}},
		{"nothing", " \n-- nothing\n;;", nil},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var got []string
			for _, f := range Check("f.sql", c.sql) {
				head, _, _ := strings.Cut(strings.TrimPrefix(f.String(), "f.sql:"), ": "+f.Why)
				got = append(got, head)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPlanLetsThroughWhatItNames(t *testing.T) {
	found := Check("f.sql", "DROP TABLE a; ALTER TABLE rooms DROP COLUMN legacy, DROP COLUMN other")
	left := Unnamed(found, []string{"drop table  A", "DROP COLUMN rooms.legacy", "DROP COLUMN rooms.nothing"})
	if len(left) != 1 || left[0].Name != "DROP COLUMN rooms.other" {
		t.Errorf("left: %v", left)
	}
}

// Wherever a destructive statement is put between harmless ones, it is found; and nothing makes the check panic.
func TestPropertyADestructiveStatementIsFoundAnywhere(t *testing.T) {
	harmless := rapid.SampledFrom([]string{
		"CREATE TABLE a (b INT)", "INSERT INTO a VALUES ('it''s; fine', \"x\")", "-- a comment\n", "/* another; */", "ALTER TABLE a ADD COLUMN c DECIMAL(1, 2) DEFAULT 1",
		"CREATE INDEX i ON a (b)", "", "\n", "CREATE TABLE `drop` (`table` INT, `delete` INT)",
	})
	destructive := rapid.SampledFrom([]string{
		"DROP TABLE rooms", "drop  /* */ table rooms", "ALTER TABLE rooms DROP x", "alter table rooms add y int, drop column x", "TRUNCATE rooms", "DELETE FROM rooms",
		"RENAME TABLE rooms TO r", "ALTER TABLE rooms MODIFY x INT", "ALTER TABLE rooms ADD x INT NOT NULL", "DROP\nDATABASE rooms", "EXECUTE something",
	})
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.SliceOfN(harmless, 0, 4).Draw(t, "before")
		after := rapid.SliceOfN(harmless, 0, 4).Draw(t, "after")
		if found := Check("f.sql", strings.Join(append(before, after...), ";\n")); len(found) > 0 {
			t.Fatalf("harmless, but %v", found)
		}
		script := strings.Join(append(append(before, destructive.Draw(t, "statement")), after...), ";\n")
		if found := Check("f.sql", script); len(found) == 0 {
			t.Fatalf("nothing is found in\n%s", script)
		}
		noise := rapid.String().Draw(t, "noise")
		Check("f.sql", noise)
		Check("f.sql", script[:rapid.IntRange(0, len(script)).Draw(t, "cut")])
	})
}
