-- name: InsertDelivery :execlastid
INSERT INTO deliveries (provider, delivery_key, repository, branch, after_commit, pusher, at, tries, retry_at, note, done)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, FALSE);

-- name: DeliveryID :one
SELECT id FROM deliveries WHERE provider = ? AND delivery_key = ?;

-- name: PendingDeliveries :many
SELECT * FROM deliveries WHERE done = FALSE AND retry_at <= sqlc.arg(now) ORDER BY at, id LIMIT ?;

-- name: FinishDeliveries :execrows
UPDATE deliveries SET done = TRUE, note = '' WHERE done = FALSE AND id IN (sqlc.slice(ids));

-- name: PutOffDelivery :execrows
UPDATE deliveries SET tries = tries + 1, note = ?, retry_at = ? WHERE id = ? AND done = FALSE;

-- name: Tip :one
SELECT tip FROM tips WHERE repository = ? AND branch = ?;

-- name: Tips :many
SELECT branch, tip FROM tips WHERE repository = ?;

-- name: MoveTip :execrows
UPDATE tips SET tip = sqlc.arg(new_tip) WHERE repository = ? AND branch = ? AND tip = sqlc.arg(old_tip);

-- name: InsertTip :exec
INSERT INTO tips (repository, branch, tip, coach) VALUES (?, ?, ?, '');

-- name: SetTipCoach :exec
UPDATE tips SET coach = ? WHERE repository = ? AND branch = ?;
