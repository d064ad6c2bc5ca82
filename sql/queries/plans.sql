-- name: AppHolders :many
SELECT app, plan FROM plan_apps WHERE app IN (sqlc.slice(apps));

-- name: HoldApp :exec
INSERT INTO plan_apps (app, plan) VALUES (?, ?);

-- name: LetAppsGo :exec
DELETE FROM plan_apps WHERE plan = ?;

-- name: BookingsOf :many
SELECT plan, capacity, servers, from_at, to_at FROM bookings WHERE capacity IN (sqlc.slice(capacities)) ORDER BY id;

-- name: AllBookings :many
SELECT plan, capacity, servers, from_at, to_at FROM bookings WHERE to_at > sqlc.arg(now) ORDER BY capacity, from_at, id;

-- name: InsertBooking :exec
INSERT INTO bookings (plan, capacity, servers, from_at, to_at) VALUES (?, ?, ?, ?, ?);

-- name: DropBookings :exec
DELETE FROM bookings WHERE plan = ?;

-- name: DropPastBookings :exec
DELETE FROM bookings WHERE to_at <= sqlc.arg(now);

-- name: CapacityTurns :many
SELECT capacity, turn FROM capacity_turns WHERE capacity IN (sqlc.slice(capacities));

-- name: TakeCapacityTurn :execrows
UPDATE capacity_turns SET turn = turn + 1 WHERE capacity = ? AND turn = ?;

-- name: FirstCapacityTurn :exec
INSERT INTO capacity_turns (capacity, turn) VALUES (?, 1);
