// Package migrations carries the schema of the store: one directory of ordered migrations for each SQL engine. The
// queries beside them are for sqlc, which writes the Go code in internal/store/db from them.
package migrations

import "embed"

// Files holds mysql/*.sql and sqlite/*.sql, named and marked up for goose.
//
//go:embed mysql/*.sql sqlite/*.sql
var Files embed.FS
