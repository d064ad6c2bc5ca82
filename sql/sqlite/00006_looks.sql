-- +goose Up
-- What verdicts were made from. The table of verdicts without their samples was never written.
DROP TABLE verdicts;

-- The looks of each roll that are kept: those at which the outcome turned, and the last one of each batch. The body is a
-- rollmon.Look in JSON, compressed by gzip.
CREATE TABLE looks (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  roll VARCHAR(255) NOT NULL,
  stage VARCHAR(32) NOT NULL,
  batch BIGINT NOT NULL,
  at BIGINT NOT NULL,
  outcome VARCHAR(32) NOT NULL,
  turned BOOLEAN NOT NULL,
  body LONGBLOB NOT NULL
);
CREATE INDEX looks_roll ON looks (roll, stage, batch);
CREATE INDEX looks_at ON looks (at);

-- What people said of a Coach in an environment: pass or fail.
CREATE TABLE test_verdicts (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  coach VARCHAR(255) NOT NULL,
  environment VARCHAR(200) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  pass BOOLEAN NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX test_verdicts_coach ON test_verdicts (coach, environment);

-- What was measured each minute by sources that keep no history: one row for each site and minute, taken by the replica
-- that inserts it. The body is rollmon.Samples in JSON, compressed by gzip; empty until they are read.
CREATE TABLE samples (
  site VARCHAR(255) NOT NULL,
  minute BIGINT NOT NULL,
  owner VARCHAR(255) NOT NULL,
  body LONGBLOB NOT NULL,
  PRIMARY KEY (site, minute)
) WITHOUT ROWID;
CREATE INDEX samples_minute ON samples (minute);
