-- The results database, version 1. Applied in one transaction to an empty file; migration_2.sql and so on take it
-- further (schema.cpp). The three views at the end are the contract with readers; tables may change with a migration.
--
-- BLOB columns are arrays of little-endian IEEE float32 without a header; length = bytes / 4.
-- A number that is not finite in IEEE's NaN sense is stored as NULL (SQLite has no NaN).

-- One `nmlbench run`: provenance. `uuid` tells whether two databases hold the same run.
CREATE TABLE runs (
  run_id        INTEGER PRIMARY KEY,
  uuid          TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),
  matrix        TEXT NOT NULL,
  matrix_json   TEXT NOT NULL,
  command_line  TEXT NOT NULL,
  git_revision  TEXT NOT NULL,
  versions_json TEXT NOT NULL,
  host          TEXT NOT NULL,
  cpu           TEXT NOT NULL,
  gpu           TEXT NOT NULL,
  threads       INTEGER NOT NULL,
  started_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;

-- Where features come from: an encoder and what it was pre-trained on ('' and 0 without pre-training).
CREATE TABLE sources (
  source_id        INTEGER PRIMARY KEY,
  encoder          TEXT NOT NULL,
  encoder_params   TEXT NOT NULL,
  pretrain_dataset TEXT NOT NULL,
  noise            TEXT NOT NULL,
  noise_ratio      REAL NOT NULL,
  UNIQUE (encoder, encoder_params, pretrain_dataset, noise, noise_ratio)
) STRICT;

CREATE TABLE tuners (
  tuner_id     INTEGER PRIMARY KEY,
  tuner        TEXT NOT NULL,
  tuner_params TEXT NOT NULL,
  UNIQUE (tuner, tuner_params)
) STRICT;

CREATE TABLE test_sets (
  test_set_id INTEGER PRIMARY KEY,
  task        TEXT NOT NULL,
  test_set    TEXT NOT NULL,
  test_kind   TEXT NOT NULL CHECK (test_kind IN ('id', 'ood')),
  UNIQUE (task, test_set, test_kind)
) STRICT;

CREATE TABLE metric_names (
  metric_id INTEGER PRIMARY KEY,
  metric    TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE cells (
  cell          INTEGER PRIMARY KEY,
  cell_id       TEXT NOT NULL UNIQUE,  -- content hash
  coordinates   TEXT NOT NULL,         -- JSON: the identity without content digests
  run_id        INTEGER NOT NULL REFERENCES runs,
  matrix        TEXT NOT NULL,
  source_id     INTEGER NOT NULL REFERENCES sources,
  checkpoint_id TEXT NOT NULL,
  task          TEXT NOT NULL,
  fraction      REAL NOT NULL,
  tuner_id      INTEGER NOT NULL REFERENCES tuners,
  seed          INTEGER NOT NULL,
  status        TEXT NOT NULL CHECK (status IN ('done', 'failed')),
  message       TEXT NOT NULL,         -- why it failed
  device        TEXT NOT NULL,
  created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
CREATE INDEX cells_by_coordinates ON cells (coordinates) WHERE status = 'failed';
CREATE INDEX cells_by_matrix ON cells (matrix);
CREATE INDEX cells_by_run ON cells (run_id);

CREATE TABLE metrics (
  cell        INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
  test_set_id INTEGER NOT NULL REFERENCES test_sets,
  metric_id   INTEGER NOT NULL REFERENCES metric_names,
  value       REAL,  -- NULL: not a number
  PRIMARY KEY (cell, test_set_id, metric_id)
) STRICT, WITHOUT ROWID;

-- Singular values of the features of one cell on one test set, descending.
CREATE TABLE spectra (
  cell            INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
  test_set        TEXT NOT NULL,
  space           TEXT NOT NULL CHECK (space IN ('raw', 'tuned')),
  center          TEXT NOT NULL CHECK (center IN ('column', 'row')),
  samples         INTEGER NOT NULL,
  singular_values BLOB NOT NULL,
  PRIMARY KEY (cell, test_set, space, center)
) STRICT, WITHOUT ROWID;

-- Mean training loss of each epoch of a cell's tuner.
CREATE TABLE curves (
  cell INTEGER PRIMARY KEY REFERENCES cells ON DELETE CASCADE,
  loss BLOB NOT NULL
) STRICT;

-- One timed stage run; `ordinal` counts within its run.
CREATE TABLE stages (
  run_id     INTEGER NOT NULL REFERENCES runs,
  ordinal    INTEGER NOT NULL,
  stage      TEXT NOT NULL CHECK (stage IN ('pretrain', 'encode', 'tune', 'evaluate')),
  encoder    TEXT NOT NULL,
  tuner      TEXT NOT NULL,
  task       TEXT NOT NULL,
  device     TEXT NOT NULL,
  items      REAL NOT NULL,
  unit       TEXT NOT NULL,
  seconds    REAL NOT NULL,
  peak_bytes INTEGER NOT NULL,
  PRIMARY KEY (run_id, ordinal)
) STRICT, WITHOUT ROWID;

-- What the noise model really did to the targets of one checkpoint.
CREATE TABLE noise (
  checkpoint_id    TEXT PRIMARY KEY,
  run_id           INTEGER NOT NULL REFERENCES runs,
  encoder          TEXT NOT NULL,
  pretrain_dataset TEXT NOT NULL,
  noise            TEXT NOT NULL,
  noise_ratio      REAL NOT NULL,
  seed             INTEGER NOT NULL,
  realised_rate    REAL NOT NULL,
  transition       TEXT  -- JSON [K][K], row-normalised; NULL for image-text pairs
) STRICT, WITHOUT ROWID;

-- One row per cell x test set x metric; a failed cell has one row without test set and metric.
CREATE VIEW v_results AS
SELECT c.cell_id, c.matrix, s.encoder, s.pretrain_dataset, s.noise, s.noise_ratio, c.task, c.fraction, t.tuner,
       t.tuner_params, c.seed, ts.test_set, ts.test_kind, n.metric, m.value, c.status, c.device, c.created_at,
       s.encoder_params, c.message
FROM cells c
JOIN sources s USING (source_id)
JOIN tuners t USING (tuner_id)
LEFT JOIN metrics m USING (cell)
LEFT JOIN test_sets ts USING (test_set_id)
LEFT JOIN metric_names n USING (metric_id);

-- One row per stage run.
CREATE VIEW v_throughput AS
SELECT stage, encoder, tuner, task, device, items, unit, seconds,
       CASE WHEN seconds > 0 THEN items / seconds END AS per_second, peak_bytes
FROM stages;

-- One row per checkpoint with corrupted targets.
CREATE VIEW v_noise AS
SELECT encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition
FROM noise;
