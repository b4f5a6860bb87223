-- Version 7 -> 8: what cells were chosen from ([selection]), noise of the labels that heads train on, and encoders against
-- their clean twins. The columns of the cells follow from the table of columns and are there before this.

-- The candidates of the grid that a cell's tuner was chosen from, in written order from 1. Scores are means over the rows
-- that the rule scores on; NULL where it asks for none, and of a candidate that failed.
CREATE TABLE candidates (
  cell      INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
  candidate INTEGER NOT NULL,
  params    TEXT NOT NULL,  -- JSON: those in which candidates differ
  status    TEXT NOT NULL CHECK (status IN ('done', 'failed', 'not tried')),
  message   TEXT NOT NULL,  -- why it failed
  chosen    INTEGER NOT NULL CHECK (chosen IN (0, 1)),
  accuracy  REAL,
  loss      REAL,
  PRIMARY KEY (cell, candidate)
) STRICT, WITHOUT ROWID;

-- One row per cell with a grid and candidate.
CREATE VIEW v_selection AS
SELECT cell_id, candidate, params, accuracy, loss, candidates.status AS status, candidates.message AS message, chosen
FROM candidates JOIN cells USING (cell);

-- One row per checkpoint pre-trained on targets that a noise model touched, here or elsewhere (stage 'pretrain'), and one
-- per matrix, task, fraction, noise and seed whose training labels one touched (stage 'task'), with the rate among the
-- rows that were trained on; its columns of checkpoints are '' or null.
DROP VIEW v_noise;
CREATE VIEW v_noise AS
SELECT encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition, provenance, validation,
       upstream_samples, upstream_accuracy, checkpoint_id, 'pretrain' AS stage, '' AS matrix, '' AS task,
       NULL AS fraction
FROM noise
UNION ALL
SELECT DISTINCT '', '', task_noise, task_noise_ratio, seed, task_realised_rate, NULL, 'here', NULL, NULL, NULL, NULL,
       'task', matrix, task, fraction
FROM cells WHERE task_noise <> '' AND status = 'done';

-- How far the leading directions of a noisy checkpoint's features of a test set are turned against those of its clean twin,
-- the checkpoint that differs in noise alone. `id` is of the measurement; `angle` in degrees.
CREATE TABLE alignments (
  id            TEXT PRIMARY KEY,
  checkpoint_id TEXT NOT NULL,
  twin_id       TEXT NOT NULL,
  task          TEXT NOT NULL,
  test_set      TEXT NOT NULL,
  test_kind     TEXT NOT NULL CHECK (test_kind IN ('id', 'ood')),
  directions    INTEGER NOT NULL,
  samples       INTEGER NOT NULL,
  angle         REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per noisy checkpoint x test set whose clean twin was measured in the same matrix.
CREATE VIEW v_alignment AS
SELECT a.checkpoint_id, a.twin_id, z.encoder, z.noise, z.noise_ratio, z.realised_rate, z.seed, a.task, a.test_set,
       a.test_kind, a.directions, a.samples, a.angle
FROM alignments a LEFT JOIN noise z USING (checkpoint_id);
