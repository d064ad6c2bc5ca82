-- +goose Up
-- Trains, as coaches and rolls are kept.
CREATE TABLE IF NOT EXISTS trains (
  id VARCHAR(255) NOT NULL,
  line VARCHAR(200) NOT NULL,
  number BIGINT NOT NULL,
  sbu VARCHAR(200) NOT NULL,
  state VARCHAR(32) NOT NULL,
  created BIGINT NOT NULL,
  terminal BOOLEAN NOT NULL,
  closed BOOLEAN NOT NULL,
  owner VARCHAR(255) NOT NULL,
  fence BIGINT NOT NULL,
  lease_until BIGINT NOT NULL,
  body LONGTEXT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY trains_unique (line, number),
  KEY trains_closed (closed, lease_until),
  KEY trains_created (created, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The seat of a Coach in a Train: one at most. Departure closes it, so that a Coach cannot leave while its Train departs.
CREATE TABLE IF NOT EXISTS train_seats (
  coach VARCHAR(255) NOT NULL,
  train VARCHAR(255) NOT NULL,
  departed BOOLEAN NOT NULL,
  state VARCHAR(32) NOT NULL,
  environment VARCHAR(200) NOT NULL,
  reason LONGTEXT NOT NULL,
  actor VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (coach),
  KEY train_seats_train (train)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What people asked of a Train.
CREATE TABLE IF NOT EXISTS train_commands (
  id BIGINT NOT NULL AUTO_INCREMENT,
  train VARCHAR(255) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  plan VARCHAR(80) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  handled BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  KEY train_commands_train (train, handled)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The sites that are a Train's until it has gone: other Trains and Coaches wait for it there.
CREATE TABLE IF NOT EXISTS train_sites (
  site VARCHAR(255) NOT NULL,
  train VARCHAR(255) NOT NULL,
  PRIMARY KEY (site),
  KEY train_sites_train (train)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
