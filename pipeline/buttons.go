package pipeline

import "railyard/internal/rop"

// buttons names those of Jenkins' buttons that somebody may want to press as the Coach stands. It decides nothing: each of them
// asks for its own right when it is pressed.
func (d *decider) buttons() []string {
	switch d.State {
	case rop.AwaitingApproval:
		return []string{"Promote"}
	case rop.Released:
		return []string{"Rollback"}
	case rop.Delivering, rop.Returning:
		out := []string{"Brake"}
		for _, ref := range d.running() {
			if d.obs.Rolls[ref.ID].Paused {
				out = []string{"Resume"}
				break
			}
		}
		if d.State == rop.Delivering && d.production() {
			out = append(out, "Rollback")
		}
		return out
	}
	return nil
}
