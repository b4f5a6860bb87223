-- Version 2 -> 3: what a run said while it worked.
CREATE TABLE log (
  run_id  INTEGER NOT NULL REFERENCES runs,
  ordinal INTEGER NOT NULL,
  at      TEXT NOT NULL,  -- UTC
  level   TEXT NOT NULL,  -- 'info', 'warning', 'error', 'critical', 'debug'
  message TEXT NOT NULL,
  PRIMARY KEY (run_id, ordinal)
) STRICT, WITHOUT ROWID;

-- One row per line, without those that only told how far the run was.
CREATE VIEW v_log AS
SELECT r.uuid AS run, l.ordinal, l.at, l.level, l.message FROM log l JOIN runs r USING (run_id);
