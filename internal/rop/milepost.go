package rop

import "strconv"

// Milepost names how far a Coach is, for those who wait for it: "3" while its third stage lasts, "end" when it has ended. It
// changes when a stage ends and when the Coach does, and never otherwise. A Jenkins build that waits carries the one it has
// seen in the id of its input, so that whoever wakes it can tell whether it knows already.
func Milepost(stages int, ended bool) string {
	if ended {
		return "end"
	}
	return strconv.Itoa(stages)
}

// Milepost names how far the Coach is.
func (c Coach) Milepost() string { return Milepost(len(c.Stages), c.State.Terminal()) }
