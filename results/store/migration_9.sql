-- Version 8 -> 9: what heads gave every class, where a run was asked to keep it (run --keep-probabilities).

-- Of one cell on one test set (part 0), or, test_set '', on training rows that [selection] held out, of the head with the
-- chosen parameters that was fitted without them: part 0, or with k-fold the number of the fold. The labels of held-out
-- rows are those that heads train on.
CREATE TABLE probabilities (
  probability_id INTEGER PRIMARY KEY,
  cell           INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
  test_set       TEXT NOT NULL,
  part           INTEGER NOT NULL,
  sample_set     INTEGER NOT NULL REFERENCES sample_sets,
  encoding       TEXT NOT NULL,
  packed         BLOB NOT NULL,
  UNIQUE (cell, test_set, part)
) STRICT;

-- One row per cell x test set, and per cell x part of the held-out rows. `labels` and `probabilities` are packed:
-- docs/DESIGN.md, section 6, reads them; `nmlbench export --table probabilities` has a row for each sample and class.
CREATE VIEW v_probabilities AS
SELECT c.cell_id, p.test_set, p.part, s.digest AS samples_digest, s.samples, s.classes, s.encoding AS labels_encoding,
       s.labels, p.encoding AS probabilities_encoding, p.packed AS probabilities
FROM probabilities p
JOIN cells c USING (cell)
JOIN sample_sets s USING (sample_set);
