-- +goose Up
-- Trains, as coaches and rolls are kept.
CREATE TABLE trains (
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
  UNIQUE (line, number)
);
CREATE INDEX trains_closed ON trains (closed, lease_until);
CREATE INDEX trains_created ON trains (created, id);

-- The seat of a Coach in a Train: one at most. Departure closes it, so that a Coach cannot leave while its Train departs.
CREATE TABLE train_seats (
  coach VARCHAR(255) NOT NULL,
  train VARCHAR(255) NOT NULL,
  departed BOOLEAN NOT NULL,
  state VARCHAR(32) NOT NULL,
  environment VARCHAR(200) NOT NULL,
  reason LONGTEXT NOT NULL,
  actor VARCHAR(255) NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (coach)
);
CREATE INDEX train_seats_train ON train_seats (train);

-- What people asked of a Train.
CREATE TABLE train_commands (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  train VARCHAR(255) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  plan VARCHAR(80) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  handled BOOLEAN NOT NULL
);
CREATE INDEX train_commands_train ON train_commands (train, handled);

-- The sites that are a Train's until it has gone: other Trains and Coaches wait for it there.
CREATE TABLE train_sites (
  site VARCHAR(255) NOT NULL,
  train VARCHAR(255) NOT NULL,
  PRIMARY KEY (site)
);
CREATE INDEX train_sites_train ON train_sites (train);
