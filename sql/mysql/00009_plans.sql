-- +goose Up
-- Which project Coach's plan has passed with an app and not reached production yet. One at a time.
CREATE TABLE IF NOT EXISTS plan_apps (
  app VARCHAR(200) NOT NULL,
  plan VARCHAR(255) NOT NULL,
  PRIMARY KEY (app),
  KEY plan_apps_plan (plan)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Servers that plans have booked ahead.
CREATE TABLE IF NOT EXISTS bookings (
  id BIGINT AUTO_INCREMENT NOT NULL,
  plan VARCHAR(255) NOT NULL,
  capacity VARCHAR(200) NOT NULL,
  servers BIGINT NOT NULL,
  from_at BIGINT NOT NULL,
  to_at BIGINT NOT NULL,
  PRIMARY KEY (id),
  KEY bookings_capacity (capacity, to_at),
  KEY bookings_plan (plan)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Raised by each new booking of a stock, so that of two replicas that decided on the same bookings only one can save.
CREATE TABLE IF NOT EXISTS capacity_turns (
  capacity VARCHAR(200) NOT NULL,
  turn BIGINT NOT NULL,
  PRIMARY KEY (capacity)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
