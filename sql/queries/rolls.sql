-- name: InsertRoll :exec
INSERT INTO rolls (id, coach, kind, environment, pool, stage, created, terminal, owner, fence, lease_until, header)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0, 0, ?);

-- name: UpdateRoll :execrows
UPDATE rolls SET stage = ?, terminal = ?, header = ? WHERE id = ? AND fence = ? AND terminal = FALSE;

-- name: RollHeader :one
SELECT header FROM rolls WHERE id = ?;

-- name: RollHeadersOfCoach :many
SELECT header FROM rolls WHERE coach = ? ORDER BY created, id;

-- name: Targets :many
SELECT body FROM roll_targets WHERE roll = ? ORDER BY batch, server;

-- name: TargetsOfCoach :many
SELECT t.roll, t.body FROM rolls r JOIN roll_targets t ON t.roll = r.id WHERE r.coach = ? ORDER BY t.roll, t.batch, t.server;

-- name: UpdateTarget :execrows
UPDATE roll_targets SET batch = ?, body = ? WHERE roll = ? AND server = ?;

-- name: DeleteTargets :exec
DELETE FROM roll_targets WHERE roll = ? AND server IN (sqlc.slice(servers));

-- name: ClaimableRolls :many
SELECT id, fence FROM rolls WHERE terminal = FALSE AND lease_until <= sqlc.arg(now) ORDER BY created, id;

-- name: ClaimRoll :execrows
UPDATE rolls SET owner = sqlc.arg(owner), fence = fence + 1, lease_until = sqlc.arg(lease_until)
WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence) AND lease_until <= sqlc.arg(now) AND terminal = FALSE;

-- name: RenewRoll :execrows
UPDATE rolls SET lease_until = sqlc.arg(lease_until) WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence);

-- name: ReleaseRoll :execrows
UPDATE rolls SET owner = '', lease_until = 0, fence = fence + 1 WHERE id = ? AND fence = ?;

-- name: ReleaseAllRolls :execrows
UPDATE rolls SET owner = '', lease_until = 0, fence = fence + 1 WHERE lease_until > 0;

-- name: RollTerminal :one
SELECT terminal FROM rolls WHERE id = ?;

-- name: InsertRollCommand :execlastid
INSERT INTO roll_commands (roll, kind, server, actor, reason, at, handled) VALUES (?, ?, ?, ?, ?, ?, FALSE);

-- name: PendingRollCommands :many
SELECT * FROM roll_commands WHERE roll = ? AND handled = FALSE ORDER BY at, id;

-- name: HandleRollCommands :exec
UPDATE roll_commands SET handled = TRUE WHERE roll = ? AND id IN (sqlc.slice(ids));
