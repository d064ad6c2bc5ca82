-- name: TakeAudit :execrows
UPDATE site_audits SET owner = sqlc.arg(owner), held_until = sqlc.arg(held_until)
WHERE site = sqlc.arg(site) AND held_until <= sqlc.arg(free);

-- name: InsertAudit :exec
INSERT INTO site_audits (site, owner, held_until, body) VALUES (?, ?, ?, '[]');

-- name: AuditHeld :one
SELECT held_until FROM site_audits WHERE site = ?;

-- name: Audit :one
SELECT body FROM site_audits WHERE site = ?;

-- name: Audits :many
SELECT site, body FROM site_audits WHERE body <> '[]' ORDER BY site;

-- name: SaveAudit :execrows
UPDATE site_audits SET body = sqlc.arg(body) WHERE site = sqlc.arg(site) AND owner = sqlc.arg(owner) AND held_until = sqlc.arg(held_until);

-- name: CompletedSite :one
SELECT * FROM sites WHERE site = ?;
