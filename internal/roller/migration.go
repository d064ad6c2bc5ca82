package roller

import (
	"fmt"
	"strings"
)

// A migration is a roll of a database: its command runs on one server, once, and what it did stays. Its plan declares that what
// runs now can live with it, so nothing has to be undone when what follows goes back.

// NothingToUndo is what is said of a migration wherever everything else is taken back.
const NothingToUndo = "nothing to undo: it is declared backward compatible"

// stopMigration withdraws a migration that has not completed. One that has is not taken back.
func (d *decider) stopMigration(c Command) string {
	if d.inBatch(-1, func(t Target) bool { return t.State == Settled }) > 0 {
		return "refused: " + NothingToUndo
	}
	d.giveUpMigration(fmt.Sprintf("%s by %s: %s", c.Kind, c.Actor, c.Reason))
	return "done"
}

// giveUpMigration ends the roll of a migration that did not complete. What it did so far stays; a command that still runs on the
// server runs to its end, and the next roll waits for it there.
func (d *decider) giveUpMigration(why string) {
	d.unpause()
	d.enter(Revoked, d.Batch, why+": the migration did not complete; "+NothingToUndo)
}

// ran names exactly what a migration ran: "hotel-db 1.4.2 (sha256:9f86…)".
func (r Revision) ran() string {
	var apps []string
	for _, a := range r.Apps {
		apps = append(apps, fmt.Sprintf("%s %s (%s)", a.App, a.Version, a.Package))
	}
	return "ran the migration of " + strings.Join(apps, ", ")
}
