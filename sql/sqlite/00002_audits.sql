-- +goose Up
-- The audit of each site: which replica does it until when, and the differences that the last one found.
CREATE TABLE site_audits (
  site VARCHAR(255) NOT NULL,
  owner VARCHAR(255) NOT NULL,
  held_until BIGINT NOT NULL,
  body LONGTEXT NOT NULL,
  PRIMARY KEY (site)
);
