-- +goose Up
-- Who overrode which freeze for which Coach or Train. It counts once two people have.
CREATE TABLE IF NOT EXISTS freeze_overrides (
  object VARCHAR(255) NOT NULL,
  freeze VARCHAR(200) NOT NULL,
  actor VARCHAR(255) NOT NULL,
  reason LONGTEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (object, freeze, actor)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- How many changes have entered in each window of a quota.
CREATE TABLE IF NOT EXISTS quota_uses (
  quota VARCHAR(200) NOT NULL,
  window_from BIGINT NOT NULL,
  used BIGINT NOT NULL,
  PRIMARY KEY (quota, window_from)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
