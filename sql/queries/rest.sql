-- name: CurrentTopology :one
SELECT * FROM topologies ORDER BY version DESC LIMIT 1;

-- name: InsertTopology :exec
INSERT INTO topologies (version, digest, body, applied_by, applied_at) VALUES (?, ?, ?, ?, ?);

-- name: Topologies :many
SELECT version, digest, applied_by, applied_at FROM topologies ORDER BY version DESC LIMIT ?;

-- name: InsertToken :exec
INSERT INTO tokens (hash, person, role, sbu, created, expires, revoked) VALUES (?, ?, ?, ?, ?, ?, 0);

-- name: Token :one
SELECT * FROM tokens WHERE hash = ?;

-- name: Tokens :many
SELECT * FROM tokens ORDER BY created, hash;

-- name: RevokeToken :execrows
UPDATE tokens SET revoked = ? WHERE hash = ? AND revoked = 0;
