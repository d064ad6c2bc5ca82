-- name: SiteLock :one
SELECT * FROM site_locks WHERE site = ?;

-- name: SiteLocks :many
SELECT * FROM site_locks ORDER BY site;

-- name: RenewSiteLock :execrows
UPDATE site_locks SET reason = ?, held_until = ? WHERE site = ? AND roll = ?;

-- name: InsertSiteLock :exec
INSERT INTO site_locks (site, roll, reason, held_until) VALUES (?, ?, ?, ?);

-- name: TakeSiteLock :execrows
UPDATE site_locks SET roll = sqlc.arg(roll), reason = sqlc.arg(reason), held_until = sqlc.arg(held_until)
WHERE site = sqlc.arg(site) AND roll = sqlc.arg(old_roll) AND held_until = sqlc.arg(old_held_until);

-- name: DeleteSiteLock :exec
DELETE FROM site_locks WHERE site = ? AND roll = ?;

-- name: SiteRevision :one
SELECT revision FROM sites WHERE site = ?;

-- name: SiteRevisions :many
SELECT * FROM sites ORDER BY site;

-- name: UpdateSite :execrows
UPDATE sites SET revision = ?, roll = ?, at = ? WHERE site = ?;

-- name: InsertSite :exec
INSERT INTO sites (site, revision, roll, at) VALUES (?, ?, ?, ?);

-- name: BarredNow :many
SELECT id FROM barred WHERE site = ? AND revision = ? AND cleared_at = 0;

-- name: InsertBar :exec
INSERT INTO barred (site, revision, reason, roll, at, cleared_by, cleared_why, cleared_at) VALUES (?, ?, ?, ?, ?, '', '', 0);

-- name: ClearBar :execrows
UPDATE barred SET cleared_by = ?, cleared_why = ?, cleared_at = ? WHERE site = ? AND revision = ? AND cleared_at = 0;

-- name: Bars :many
SELECT * FROM barred
WHERE (sqlc.arg(site) = '' OR site = sqlc.arg(site)) AND cleared_at <= sqlc.arg(cleared_until) ORDER BY at DESC, id DESC;
