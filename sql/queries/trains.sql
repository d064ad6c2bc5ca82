-- name: InsertTrain :exec
INSERT INTO trains (id, line, number, sbu, state, created, terminal, closed, owner, fence, lease_until, body)
VALUES (?, ?, ?, ?, ?, ?, FALSE, FALSE, '', 0, 0, ?);

-- name: LastTrain :one
SELECT number FROM trains WHERE line = ? ORDER BY number DESC LIMIT 1;

-- name: UpdateTrain :execrows
UPDATE trains SET state = ?, terminal = ?, closed = ?, body = ? WHERE id = ? AND fence = ?;

-- name: TrainBody :one
SELECT body FROM trains WHERE id = ?;

-- name: TrainBodies :many
SELECT body FROM trains WHERE terminal = FALSE ORDER BY created, id;

-- name: TrainState :one
SELECT state FROM trains WHERE id = ?;

-- name: ClaimableTrains :many
SELECT id, fence FROM trains WHERE closed = FALSE AND lease_until <= sqlc.arg(now) ORDER BY created, id;

-- name: ClaimTrain :execrows
UPDATE trains SET owner = sqlc.arg(owner), fence = fence + 1, lease_until = sqlc.arg(lease_until)
WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence) AND lease_until <= sqlc.arg(now) AND closed = FALSE;

-- name: RenewTrain :execrows
UPDATE trains SET lease_until = sqlc.arg(lease_until) WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence);

-- name: ReleaseTrain :execrows
UPDATE trains SET owner = '', lease_until = 0, fence = fence + 1 WHERE id = ? AND fence = ?;

-- name: ReleaseAllTrains :execrows
UPDATE trains SET owner = '', lease_until = 0, fence = fence + 1 WHERE lease_until > 0;

-- name: InsertSeat :exec
INSERT INTO train_seats (coach, train, departed, state, environment, reason, actor, at) VALUES (?, ?, FALSE, ?, '', '', ?, ?);

-- name: SeatOf :one
SELECT * FROM train_seats WHERE coach = ?;

-- name: SeatsOf :many
SELECT * FROM train_seats WHERE train = ? ORDER BY coach;

-- name: SeatedCoaches :many
SELECT c.body FROM train_seats s JOIN coaches c ON c.id = s.coach WHERE s.train = ? ORDER BY c.id;

-- name: UpdateSeat :execrows
UPDATE train_seats SET state = ?, environment = ?, reason = ? WHERE coach = ? AND train = ?;

-- name: CloseSeat :execrows
UPDATE train_seats SET departed = TRUE WHERE coach = ? AND train = ? AND departed = FALSE;

-- name: LeaveSeat :execrows
DELETE FROM train_seats WHERE coach = ? AND train = ? AND departed = FALSE;

-- name: PassSeat :execrows
UPDATE train_seats SET coach = sqlc.arg(heir) WHERE coach = sqlc.arg(coach) AND train = sqlc.arg(train) AND departed = FALSE;

-- name: AheadInTrain :many
SELECT s.coach, s.train FROM train_seats s JOIN coaches c ON c.id = s.coach
WHERE c.project = ? AND c.id <> sqlc.arg(coach) AND c.terminal = FALSE AND s.departed = TRUE ORDER BY s.coach;

-- name: InsertTrainCommand :execlastid
INSERT INTO train_commands (train, kind, plan, actor, reason, at, handled) VALUES (?, ?, ?, ?, ?, ?, FALSE);

-- name: PendingTrainCommands :many
SELECT * FROM train_commands WHERE train = ? AND handled = FALSE ORDER BY at, id;

-- name: HandleTrainCommands :exec
UPDATE train_commands SET handled = TRUE WHERE train = ? AND id IN (sqlc.slice(ids));

-- name: InsertTrainSite :exec
INSERT INTO train_sites (site, train) VALUES (?, ?);

-- name: TrainSites :many
SELECT * FROM train_sites ORDER BY site;

-- name: FreeTrainSites :exec
DELETE FROM train_sites WHERE train = ?;

-- name: LastRollsOfSite :many
SELECT header FROM rolls WHERE environment = ? AND pool = ? AND kind = 'release' AND stage = 'done' ORDER BY created DESC, id DESC LIMIT 5;

-- name: CompletingRolls :many
SELECT s.site, r.header FROM sites s JOIN rolls r ON r.id = s.roll WHERE r.environment = ? AND r.kind = 'release' ORDER BY s.site;
