-- +goose Up
-- What verdicts were made from. The table of verdicts without their samples was never written.
DROP TABLE IF EXISTS verdicts;

-- The looks of each roll that are kept: those at which the outcome turned, and the last one of each batch. The body is a
-- rollmon.Look in JSON, compressed by gzip.
CREATE TABLE IF NOT EXISTS looks (
  id BIGINT NOT NULL AUTO_INCREMENT,
  roll VARCHAR(255) NOT NULL,
  stage VARCHAR(32) NOT NULL,
  batch BIGINT NOT NULL,
  at BIGINT NOT NULL,
  outcome VARCHAR(32) NOT NULL,
  turned BOOLEAN NOT NULL,
  body LONGBLOB NOT NULL,
  PRIMARY KEY (id),
  KEY looks_roll (roll, stage, batch),
  KEY looks_at (at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What people said of a Coach in an environment: pass or fail.
CREATE TABLE IF NOT EXISTS test_verdicts (
  id BIGINT NOT NULL AUTO_INCREMENT,
  coach VARCHAR(255) NOT NULL,
  environment VARCHAR(200) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  pass BOOLEAN NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (id),
  KEY test_verdicts_coach (coach, environment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What was measured each minute by sources that keep no history: one row for each site and minute, taken by the replica
-- that inserts it. The body is rollmon.Samples in JSON, compressed by gzip; empty until they are read.
CREATE TABLE IF NOT EXISTS samples (
  site VARCHAR(255) NOT NULL,
  minute BIGINT NOT NULL,
  owner VARCHAR(255) NOT NULL,
  body LONGBLOB NOT NULL,
  PRIMARY KEY (site, minute),
  KEY samples_minute (minute)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
