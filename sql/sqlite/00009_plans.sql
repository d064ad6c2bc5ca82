-- +goose Up
-- Which project Coach's plan has passed with an app and not reached production yet. One at a time.
CREATE TABLE plan_apps (
  app VARCHAR(200) NOT NULL,
  plan VARCHAR(255) NOT NULL,
  PRIMARY KEY (app)
);
CREATE INDEX plan_apps_plan ON plan_apps (plan);

-- Servers that plans have booked ahead.
CREATE TABLE bookings (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  plan VARCHAR(255) NOT NULL,
  capacity VARCHAR(200) NOT NULL,
  servers BIGINT NOT NULL,
  from_at BIGINT NOT NULL,
  to_at BIGINT NOT NULL
);
CREATE INDEX bookings_capacity ON bookings (capacity, to_at);
CREATE INDEX bookings_plan ON bookings (plan);

-- Raised by each new booking of a stock, so that of two replicas that decided on the same bookings only one can save.
CREATE TABLE capacity_turns (
  capacity VARCHAR(200) NOT NULL,
  turn BIGINT NOT NULL,
  PRIMARY KEY (capacity)
);
