package api

import _ "embed"

// Spec is openapi.yaml, the contract that requests are validated against.
//
//go:embed openapi.yaml
var Spec []byte
