-- +goose Up
-- The first schema. sql/sqlite holds the same tables and columns; a test compares them.
--
-- Times are microseconds since 1970 UTC, 0 = none. Texts that hold JSON are the domain values of the Go packages they are
-- named after. There are no foreign keys: InnoDB would make a fact wait for its Coach's row (or deadlock with it) only to
-- check that it exists.
--
-- Every statement may be run again, because a crash between two of them leaves the first ones done.

-- Every version of the topology file that was applied; the highest is in force.
CREATE TABLE IF NOT EXISTS topologies (
  version BIGINT NOT NULL,
  digest VARCHAR(80) NOT NULL,
  body LONGTEXT NOT NULL,
  applied_by VARCHAR(255) NOT NULL,
  applied_at BIGINT NOT NULL,
  PRIMARY KEY (version)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Accepted webhooks, one row for each branch that changed.
CREATE TABLE IF NOT EXISTS deliveries (
  id BIGINT NOT NULL AUTO_INCREMENT,
  provider VARCHAR(64) NOT NULL,
  delivery_key VARCHAR(255) NOT NULL,
  repository VARCHAR(255) NOT NULL,
  branch VARCHAR(255) NOT NULL,
  after_commit VARCHAR(64) NOT NULL,
  pusher VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  retry_at BIGINT NOT NULL,
  note LONGTEXT NOT NULL,
  done BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY deliveries_unique (provider, delivery_key),
  KEY deliveries_done (done, retry_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The last commit of each branch that was taken in, and the Coach made last from that branch.
CREATE TABLE IF NOT EXISTS tips (
  repository VARCHAR(255) NOT NULL,
  branch VARCHAR(255) NOT NULL,
  tip VARCHAR(64) NOT NULL,
  coach VARCHAR(255) NOT NULL,
  PRIMARY KEY (repository, branch)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Coaches. A commit may come back after a revert, so the same commit may have several candidates.
CREATE TABLE IF NOT EXISTS coaches (
  id VARCHAR(255) NOT NULL,
  project VARCHAR(200) NOT NULL,
  series BIGINT NOT NULL,
  candidate BIGINT NOT NULL,
  sbu VARCHAR(200) NOT NULL,
  repository VARCHAR(255) NOT NULL,
  branch VARCHAR(255) NOT NULL,
  commit_id VARCHAR(64) NOT NULL,
  state VARCHAR(32) NOT NULL,
  environment VARCHAR(200) NOT NULL,
  created BIGINT NOT NULL,
  terminal BOOLEAN NOT NULL,
  closed BOOLEAN NOT NULL,
  owner VARCHAR(255) NOT NULL,
  fence BIGINT NOT NULL,
  lease_until BIGINT NOT NULL,
  body LONGTEXT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY coaches_unique (project, series, candidate),
  KEY coaches_closed (closed, lease_until),
  KEY coaches_terminal (terminal),
  KEY coaches_created (created, id),
  KEY coaches_branch (repository, branch)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Which Coach a deployment id belongs to.
CREATE TABLE IF NOT EXISTS builds (
  deployment VARCHAR(255) NOT NULL,
  coach VARCHAR(255) NOT NULL,
  app VARCHAR(200) NOT NULL,
  attempt BIGINT NOT NULL,
  PRIMARY KEY (deployment),
  KEY builds_coach (coach)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The one Jenkins build that may work for a deployment id: the first that began.
CREATE TABLE IF NOT EXISTS builds_begun (
  deployment VARCHAR(255) NOT NULL,
  build_key VARCHAR(255) NOT NULL,
  number BIGINT NOT NULL,
  url LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (deployment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Published packages.
CREATE TABLE IF NOT EXISTS packages (
  deployment VARCHAR(255) NOT NULL,
  app VARCHAR(200) NOT NULL,
  digest VARCHAR(80) NOT NULL,
  size BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (deployment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Approvals given by people.
CREATE TABLE IF NOT EXISTS approvals (
  id BIGINT NOT NULL AUTO_INCREMENT,
  coach VARCHAR(255) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  plan VARCHAR(80) NOT NULL,
  packages LONGTEXT NOT NULL,
  reason LONGTEXT NOT NULL,
  PRIMARY KEY (id),
  KEY approvals_coach (coach)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What people asked of a Coach.
CREATE TABLE IF NOT EXISTS coach_commands (
  id BIGINT NOT NULL AUTO_INCREMENT,
  coach VARCHAR(255) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  handled BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  KEY coach_commands_coach (coach, handled)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Rolls; header is the roll without its targets.
CREATE TABLE IF NOT EXISTS rolls (
  id VARCHAR(255) NOT NULL,
  coach VARCHAR(255) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  environment VARCHAR(200) NOT NULL,
  pool VARCHAR(200) NOT NULL,
  stage VARCHAR(32) NOT NULL,
  created BIGINT NOT NULL,
  terminal BOOLEAN NOT NULL,
  owner VARCHAR(255) NOT NULL,
  fence BIGINT NOT NULL,
  lease_until BIGINT NOT NULL,
  header LONGTEXT NOT NULL,
  PRIMARY KEY (id),
  KEY rolls_coach (coach),
  KEY rolls_terminal (terminal, lease_until),
  KEY rolls_created (created, id),
  KEY rolls_site (environment, pool)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The servers of each roll. A row of its own for each, so that saving one server costs the same in a roll of any size.
CREATE TABLE IF NOT EXISTS roll_targets (
  roll VARCHAR(255) NOT NULL,
  server VARCHAR(255) NOT NULL,
  batch BIGINT NOT NULL,
  body LONGTEXT NOT NULL,
  PRIMARY KEY (roll, server)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What people asked of a roll.
CREATE TABLE IF NOT EXISTS roll_commands (
  id BIGINT NOT NULL AUTO_INCREMENT,
  roll VARCHAR(255) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  server VARCHAR(255) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  handled BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  KEY roll_commands_roll (roll, handled)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- One roll at a time on a site.
CREATE TABLE IF NOT EXISTS site_locks (
  site VARCHAR(255) NOT NULL,
  roll VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  held_until BIGINT NOT NULL,
  PRIMARY KEY (site)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The last revision that completed on each site.
CREATE TABLE IF NOT EXISTS sites (
  site VARCHAR(255) NOT NULL,
  revision LONGTEXT NOT NULL,
  roll VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (site)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Revisions that were rolled back and may not return until somebody clears them.
CREATE TABLE IF NOT EXISTS barred (
  id BIGINT NOT NULL AUTO_INCREMENT,
  site VARCHAR(255) NOT NULL,
  revision VARCHAR(80) NOT NULL,
  reason LONGTEXT NOT NULL,
  roll VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  cleared_by VARCHAR(255) NOT NULL,
  cleared_why LONGTEXT NOT NULL,
  cleared_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  KEY barred_site (site, revision)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The event log. Ids are given by the insert itself (see events.go), because those of AUTO_INCREMENT are not in the order
-- of commits.
CREATE TABLE IF NOT EXISTS events (
  id BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor VARCHAR(255) NOT NULL,
  object VARCHAR(255) NOT NULL,
  what VARCHAR(64) NOT NULL,
  why LONGTEXT NOT NULL,
  from_state VARCHAR(255) NOT NULL,
  to_state VARCHAR(255) NOT NULL,
  server VARCHAR(255) NOT NULL,
  coach VARCHAR(255) NOT NULL,
  PRIMARY KEY (id),
  KEY events_coach (coach, id),
  KEY events_object (object, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The last verdicts of each roll.
CREATE TABLE IF NOT EXISTS verdicts (
  id BIGINT NOT NULL AUTO_INCREMENT,
  roll VARCHAR(255) NOT NULL,
  stage VARCHAR(32) NOT NULL,
  batch BIGINT NOT NULL,
  at BIGINT NOT NULL,
  outcome VARCHAR(32) NOT NULL,
  body LONGTEXT NOT NULL,
  PRIMARY KEY (id),
  KEY verdicts_roll (roll, at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Access tokens; only the SHA-256 of a token is kept.
CREATE TABLE IF NOT EXISTS tokens (
  hash VARCHAR(64) NOT NULL,
  person VARCHAR(255) NOT NULL,
  role VARCHAR(64) NOT NULL,
  sbu VARCHAR(200) NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  revoked BIGINT NOT NULL,
  PRIMARY KEY (hash)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
