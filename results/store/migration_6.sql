-- Version 5 -> 6: what each head answered for each sample, and the matrix as it was given.

-- JSON: {"file", "text", "set", "folder", "plugin_dirs"}; '' of runs of earlier versions.
ALTER TABLE runs ADD COLUMN matrix_source TEXT NOT NULL DEFAULT '';

-- The samples of a test set as they are scored, once for each content: two test sets with one `digest` (of data and
-- labels) have the same samples in the same order. Packed as harness/records/predictions.h says of `encoding`.
CREATE TABLE sample_sets (
  sample_set INTEGER PRIMARY KEY,
  digest     TEXT NOT NULL UNIQUE,
  samples    INTEGER NOT NULL,
  classes    INTEGER NOT NULL,
  encoding   TEXT NOT NULL,
  labels     BLOB NOT NULL
) STRICT;

-- What one cell answered on one test set; none of cells of earlier versions, of failed ones, or with --no-predictions.
CREATE TABLE predictions (
  prediction_id INTEGER PRIMARY KEY,
  cell          INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
  test_set      TEXT NOT NULL,
  sample_set    INTEGER NOT NULL REFERENCES sample_sets,
  encoding      TEXT NOT NULL,
  packed        BLOB NOT NULL,
  UNIQUE (cell, test_set)
) STRICT;

-- One row per cell x test set whose predictions are kept. `labels` and `predictions` are packed: docs/DESIGN.md, section
-- 6, reads them; `nmlbench export --table predictions` has a row for each sample.
CREATE VIEW v_predictions AS
SELECT c.cell_id, p.test_set, s.digest AS samples_digest, s.samples, s.classes, s.encoding AS labels_encoding, s.labels,
       p.encoding AS predictions_encoding, p.packed AS predictions
FROM predictions p
JOIN cells c USING (cell)
JOIN sample_sets s USING (sample_set);
