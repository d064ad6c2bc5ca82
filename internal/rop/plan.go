// Package rop holds what travels: the Plan (ROP, Roll Out Plan) a team writes, the Coach that carries its changes, and AR
// (Auto Roller), which turns a plan and a topology into waves of pools. All of it is pure.
package rop

import "railyard/internal/fleet"

// Plan is the file .railyard/rop.yaml on the release branch, read at the pushed commit.
type Plan struct {
	Project  string   `yaml:"project" json:"project"`   // "hotel-api": names the Coach
	SBU      string   `yaml:"sbu" json:"sbu"`           // "hotel"
	Owner    string   `yaml:"owner" json:"owner"`       // "hotel-api-team"
	Apps     []string `yaml:"apps" json:"apps"`         // apps of this repository that travel: ["hotel-api"]
	Version  string   `yaml:"version" json:"version"`   // semver of what is released: "1.4.2"
	Rollback Rollback `yaml:"rollback" json:"rollback"` // mandatory: never fight unprepared
}

// Rollback is the rollback plan.
type Rollback struct {
	To  string   `yaml:"to" json:"to"`   // "previous", see RollbackToPrevious
	Who []string `yaml:"who" json:"who"` // roles that may order it: ["release-engineer"]
}

// Wave is a set of pool Coaches that may roll at the same time. Waves run in order, and back in reverse order.
type Wave struct {
	Pools []PoolCoach `json:"pools"`
}

// PoolCoach is the part of a Coach that goes to one pool: all its apps there that change travel together.
type PoolCoach struct {
	Pool string   `json:"pool"` // "hotel-api"
	Apps []string `json:"apps"` // ["hotel-api"]
}

// Site returns the pool Coach's site in an environment.
func (p PoolCoach) Site(environment string) fleet.SiteRef {
	return fleet.SiteRef{Environment: environment, Pool: p.Pool}
}
