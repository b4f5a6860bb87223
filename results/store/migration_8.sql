-- To version 8: what cells were chosen from ([selection]). The column `selection` of the cells follows from the table of
-- columns.

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
