-- name: InsertOverride :exec
INSERT INTO freeze_overrides (object, freeze, actor, reason, at) VALUES (?, ?, ?, ?, ?);

-- name: OverridesOf :many
SELECT * FROM freeze_overrides WHERE object = ? ORDER BY at, actor;

-- name: QuotaUses :many
SELECT * FROM quota_uses WHERE window_from >= sqlc.arg(since);

-- name: UseQuota :execrows
UPDATE quota_uses SET used = used + sqlc.arg(changes) WHERE quota = sqlc.arg(quota) AND window_from = sqlc.arg(window_from) AND used + sqlc.arg(changes) <= sqlc.arg(most);

-- name: InsertQuotaUse :exec
INSERT INTO quota_uses (quota, window_from, used) VALUES (?, ?, ?);
