-- name: InsertCoach :exec
INSERT INTO coaches (id, project, series, candidate, sbu, repository, branch, commit_id, state, environment, created, terminal,
  closed, owner, fence, lease_until, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, 0, ?);

-- name: UpdateCoach :execrows
UPDATE coaches SET state = ?, environment = ?, terminal = ?, closed = ?, body = ? WHERE id = ? AND fence = ?;

-- name: CoachBody :one
SELECT body FROM coaches WHERE id = ?;

-- name: LatestCoachBody :one
SELECT c.body FROM tips t JOIN coaches c ON c.id = t.coach WHERE t.repository = ? AND t.branch = ?;

-- name: DeploymentCoachBody :one
SELECT c.body FROM builds b JOIN coaches c ON c.id = b.coach WHERE b.deployment = ?;

-- name: LastSeries :one
SELECT series FROM coaches WHERE project = ? ORDER BY series DESC LIMIT 1;

-- name: NewestCandidate :one
SELECT id FROM coaches WHERE project = ? AND series = ? ORDER BY candidate DESC LIMIT 1;

-- name: ClaimableCoaches :many
SELECT id, fence FROM coaches WHERE closed = FALSE AND lease_until <= sqlc.arg(now) ORDER BY created, id;

-- name: ClaimCoach :execrows
UPDATE coaches SET owner = sqlc.arg(owner), fence = fence + 1, lease_until = sqlc.arg(lease_until)
WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence) AND lease_until <= sqlc.arg(now) AND closed = FALSE;

-- name: RenewCoach :execrows
UPDATE coaches SET lease_until = sqlc.arg(lease_until) WHERE id = sqlc.arg(id) AND fence = sqlc.arg(fence);

-- name: ReleaseCoach :execrows
UPDATE coaches SET owner = '', lease_until = 0, fence = fence + 1 WHERE id = ? AND fence = ?;

-- name: ReleaseAllCoaches :execrows
UPDATE coaches SET owner = '', lease_until = 0, fence = fence + 1 WHERE lease_until > 0;

-- name: ReopenCoach :execrows
UPDATE coaches SET closed = FALSE WHERE id = ?;

-- name: DeploymentsOfCoach :many
SELECT deployment FROM builds WHERE coach = ?;

-- name: InsertBuild :exec
INSERT INTO builds (deployment, coach, app, attempt) VALUES (?, ?, ?, ?);
