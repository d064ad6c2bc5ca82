-- name: InsertPackage :exec
INSERT INTO packages (deployment, app, digest, size, at) VALUES (?, ?, ?, ?, ?);

-- name: PackageOf :one
SELECT * FROM packages WHERE deployment = ?;

-- name: Packages :many
SELECT * FROM packages WHERE deployment IN (sqlc.slice(deployments));

-- name: InsertBuildBegun :exec
INSERT INTO builds_begun (deployment, build_key, number, url, at) VALUES (?, ?, ?, ?, ?);

-- name: BuildBegun :one
SELECT build_key FROM builds_begun WHERE deployment = ?;

-- name: BuildsBegun :many
SELECT deployment, number, url FROM builds_begun WHERE deployment IN (sqlc.slice(deployments));

-- name: InsertApproval :exec
INSERT INTO approvals (coach, actor, at, plan, packages, reason) VALUES (?, ?, ?, ?, ?, ?);

-- name: Approvals :many
SELECT a.* FROM approvals a JOIN coaches c ON c.id = a.coach WHERE c.project = ? AND c.series = ? ORDER BY a.at, a.id;

-- name: CoachTerminal :one
SELECT terminal FROM coaches WHERE id = ?;

-- name: InsertCoachCommand :execlastid
INSERT INTO coach_commands (coach, kind, actor, reason, at, handled) VALUES (?, ?, ?, ?, ?, FALSE);

-- name: PendingCoachCommands :many
SELECT * FROM coach_commands WHERE coach = ? AND handled = FALSE ORDER BY at, id;

-- name: HandleCoachCommands :exec
UPDATE coach_commands SET handled = TRUE WHERE coach = ? AND id IN (sqlc.slice(ids));
