package rop

import _ "embed"

//go:embed rop.schema.json
var schema string

// Schema is the JSON Schema (draft-07) of the plan file, for editors. What it refuses LoadPlan refuses too; LoadPlan and Check
// see more, such as requirements that contradict each other. Tests hold one against the other.
func Schema() string { return schema }
