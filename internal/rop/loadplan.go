package rop

import (
	"fmt"

	"railyard/internal/fleet"
	"railyard/internal/yamlfile"
)

// MaxPlanSize is how many bytes of a plan file are read; whoever may push may write one.
const MaxPlanSize = 64 << 10

// RollbackToPrevious returns to the last revision that completed; it is what Rollback.To can be.
const RollbackToPrevious = "previous"

// LoadPlan reads a plan file by itself, without a topology. name is what messages call the file. The error is a
// yamlfile.Problems with every mistake.
func LoadPlan(name string, data []byte) (Plan, error) {
	if len(data) > MaxPlanSize {
		return Plan{}, yamlfile.Problems{{File: name, What: fmt.Sprintf("the plan has %d bytes; at most %d are read", len(data), MaxPlanSize), Fix: "shorten it"}}
	}
	doc, err := yamlfile.Parse(name, data)
	if err != nil {
		return Plan{}, err
	}
	var plan Plan
	if err := doc.Decode(&plan); err != nil {
		return Plan{}, err
	}
	if err := inForm(plan, doc).Err(); err != nil {
		return Plan{}, err
	}
	return plan, nil
}

// Check tells what in a plan does not fit the topology, as the plan of a repository. The error is a yamlfile.Problems with
// every mistake. name and data are the file the plan was read from, for the positions; of a plan that has no file any
// more, data is nil and the problems have none.
func Check(name string, data []byte, plan Plan, t *fleet.Topology, repository string) error {
	doc, err := document(name, data)
	if err != nil {
		return err
	}
	return fits(plan, doc, t, repository).Err()
}

// Misfit says the first thing in a stored plan that does not fit the topology, in one line, or "".
func Misfit(plan Plan, t *fleet.Topology, repository string) string {
	if found := fits(plan, nil, t, repository).Sorted(); len(found) > 0 {
		return found[0].Error()
	}
	return ""
}

// CheckBranch tells whether a plan may be used on the branch it lies on. The error is a yamlfile.Problems, with positions as
// those of Check.
func CheckBranch(name string, data []byte, plan Plan, branch string) error {
	if plan.Branch == "" || plan.Branch == branch {
		return nil
	}
	doc, err := document(name, data)
	if err != nil {
		return err
	}
	return yamlfile.Problems{doc.Problem("$.branch", fmt.Sprintf("branch: the plan is for %q and lies on %q", plan.Branch, branch),
		"write a plan for this branch, or remove branch from it")}
}

// document is the file that data is; of no data, a document that knows no positions.
func document(name string, data []byte) (*yamlfile.Document, error) {
	if data == nil {
		return nil, nil //nolint:nilnil // the methods of a nil document work, and know no position
	}
	return yamlfile.Parse(name, data)
}
