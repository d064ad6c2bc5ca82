// Package enginebench measures what the engine itself costs: whole rolls of a virtual fleet, with the real runner and the
// real store on SQLite, and virtual servers and balancers.
//
//	go test -run '^$' -bench Engine -benchtime 1x ./internal/roller/enginebench
//
// It has no code of its own; the arrows between packages forbid the roller to know the store, so its benchmark is here.
package enginebench
