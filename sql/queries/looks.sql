-- name: InsertLook :exec
INSERT INTO looks (roll, stage, batch, at, outcome, turned, body) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: DropLastLook :exec
DELETE FROM looks WHERE roll = ? AND stage = ? AND batch = ? AND turned = FALSE;

-- name: Looks :many
SELECT body FROM looks WHERE roll = ? ORDER BY at DESC, id DESC LIMIT ?;

-- name: OldLook :one
SELECT id FROM looks WHERE roll = ? ORDER BY id DESC LIMIT 1 OFFSET ?;

-- name: DeleteLooks :exec
DELETE FROM looks WHERE roll = ? AND id <= sqlc.arg(oldest);

-- name: PruneLooks :execrows
DELETE FROM looks WHERE at < ?;

-- name: InsertTestVerdict :exec
INSERT INTO test_verdicts (coach, environment, actor, pass, reason, at) VALUES (?, ?, ?, ?, ?, ?);

-- name: TestVerdicts :many
SELECT * FROM test_verdicts WHERE coach = ? ORDER BY id;

-- name: TakeMinute :exec
INSERT INTO samples (site, minute, owner, body) VALUES (?, ?, ?, ?);

-- name: SaveMinute :execrows
UPDATE samples SET body = ? WHERE site = ? AND minute = ? AND owner = ?;

-- name: Minutes :many
SELECT minute, body FROM samples WHERE site = ? AND minute >= sqlc.arg(from_minute) AND minute <= sqlc.arg(until_minute) ORDER BY minute;

-- name: PruneMinutes :execrows
DELETE FROM samples WHERE minute < ?;
