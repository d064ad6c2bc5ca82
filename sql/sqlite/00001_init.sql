-- +goose Up
-- The first schema. sql/mysql holds the same tables and columns; a test compares them.
--
-- Times are microseconds since 1970 UTC, 0 = none. Texts that hold JSON are the domain values of the Go packages they are
-- named after. There are no foreign keys: InnoDB would make a fact wait for its Coach's row (or deadlock with it) only to
-- check that it exists, and both engines shall behave alike.

-- Every version of the topology file that was applied; the highest is in force.
CREATE TABLE topologies (
  version INTEGER PRIMARY KEY NOT NULL,
  digest VARCHAR(80) NOT NULL,
  body LONGTEXT NOT NULL,
  applied_by VARCHAR(255) NOT NULL,
  applied_at BIGINT NOT NULL
);

-- Accepted webhooks, one row for each branch that changed.
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
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
  UNIQUE (provider, delivery_key)
);
CREATE INDEX deliveries_done ON deliveries (done, retry_at);

-- The last commit of each branch that was taken in, and the Coach made last from that branch.
CREATE TABLE tips (
  repository VARCHAR(255) NOT NULL,
  branch VARCHAR(255) NOT NULL,
  tip VARCHAR(64) NOT NULL,
  coach VARCHAR(255) NOT NULL,
  PRIMARY KEY (repository, branch)
);

-- Coaches. A commit may come back after a revert, so the same commit may have several candidates.
CREATE TABLE coaches (
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
  UNIQUE (project, series, candidate)
);
CREATE INDEX coaches_closed ON coaches (closed, lease_until);
CREATE INDEX coaches_terminal ON coaches (terminal);
CREATE INDEX coaches_created ON coaches (created, id);
CREATE INDEX coaches_branch ON coaches (repository, branch);

-- Which Coach a deployment id belongs to.
CREATE TABLE builds (
  deployment VARCHAR(255) NOT NULL,
  coach VARCHAR(255) NOT NULL,
  app VARCHAR(200) NOT NULL,
  attempt BIGINT NOT NULL,
  PRIMARY KEY (deployment)
);
CREATE INDEX builds_coach ON builds (coach);

-- The one Jenkins build that may work for a deployment id: the first that began.
CREATE TABLE builds_begun (
  deployment VARCHAR(255) NOT NULL,
  build_key VARCHAR(255) NOT NULL,
  number BIGINT NOT NULL,
  url LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (deployment)
);

-- Published packages.
CREATE TABLE packages (
  deployment VARCHAR(255) NOT NULL,
  app VARCHAR(200) NOT NULL,
  digest VARCHAR(80) NOT NULL,
  size BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (deployment)
);

-- Approvals given by people.
CREATE TABLE approvals (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  coach VARCHAR(255) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  plan VARCHAR(80) NOT NULL,
  packages LONGTEXT NOT NULL,
  reason LONGTEXT NOT NULL
);
CREATE INDEX approvals_coach ON approvals (coach);

-- What people asked of a Coach.
CREATE TABLE coach_commands (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  coach VARCHAR(255) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  handled BOOLEAN NOT NULL
);
CREATE INDEX coach_commands_coach ON coach_commands (coach, handled);

-- Rolls; header is the roll without its targets.
CREATE TABLE rolls (
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
  PRIMARY KEY (id)
);
CREATE INDEX rolls_coach ON rolls (coach);
CREATE INDEX rolls_terminal ON rolls (terminal, lease_until);
CREATE INDEX rolls_created ON rolls (created, id);
CREATE INDEX rolls_site ON rolls (environment, pool);

-- The servers of each roll. A row of its own for each, so that saving one server costs the same in a roll of any size.
CREATE TABLE roll_targets (
  roll VARCHAR(255) NOT NULL,
  server VARCHAR(255) NOT NULL,
  batch BIGINT NOT NULL,
  body LONGTEXT NOT NULL,
  PRIMARY KEY (roll, server)
) WITHOUT ROWID;

-- What people asked of a roll.
CREATE TABLE roll_commands (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  roll VARCHAR(255) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  server VARCHAR(255) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  handled BOOLEAN NOT NULL
);
CREATE INDEX roll_commands_roll ON roll_commands (roll, handled);

-- One roll at a time on a site.
CREATE TABLE site_locks (
  site VARCHAR(255) NOT NULL,
  roll VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  held_until BIGINT NOT NULL,
  PRIMARY KEY (site)
);

-- The last revision that completed on each site.
CREATE TABLE sites (
  site VARCHAR(255) NOT NULL,
  revision LONGTEXT NOT NULL,
  roll VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (site)
);

-- Revisions that were rolled back and may not return until somebody clears them.
CREATE TABLE barred (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  site VARCHAR(255) NOT NULL,
  revision VARCHAR(80) NOT NULL,
  reason LONGTEXT NOT NULL,
  roll VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  cleared_by VARCHAR(255) NOT NULL,
  cleared_why LONGTEXT NOT NULL,
  cleared_at BIGINT NOT NULL
);
CREATE INDEX barred_site ON barred (site, revision);

-- The event log. Ids are given by the insert itself (see events.go), because those of AUTO_INCREMENT are not in the order
-- of commits.
CREATE TABLE events (
  id INTEGER PRIMARY KEY NOT NULL,
  at BIGINT NOT NULL,
  actor VARCHAR(255) NOT NULL,
  object VARCHAR(255) NOT NULL,
  what VARCHAR(64) NOT NULL,
  why LONGTEXT NOT NULL,
  from_state VARCHAR(255) NOT NULL,
  to_state VARCHAR(255) NOT NULL,
  server VARCHAR(255) NOT NULL,
  coach VARCHAR(255) NOT NULL
);
CREATE INDEX events_coach ON events (coach, id);
CREATE INDEX events_object ON events (object, id);

-- The last verdicts of each roll.
CREATE TABLE verdicts (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  roll VARCHAR(255) NOT NULL,
  stage VARCHAR(32) NOT NULL,
  batch BIGINT NOT NULL,
  at BIGINT NOT NULL,
  outcome VARCHAR(32) NOT NULL,
  body LONGTEXT NOT NULL
);
CREATE INDEX verdicts_roll ON verdicts (roll, at);

-- Access tokens; only the SHA-256 of a token is kept.
CREATE TABLE tokens (
  hash VARCHAR(64) NOT NULL,
  person VARCHAR(255) NOT NULL,
  role VARCHAR(64) NOT NULL,
  sbu VARCHAR(200) NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  revoked BIGINT NOT NULL,
  PRIMARY KEY (hash)
);
