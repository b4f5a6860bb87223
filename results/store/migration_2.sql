-- Version 1 -> 2: confusion matrices, the cost of a cell, and what a database of a million rows needs to answer at once.

-- A cell's share of its stack's time, in device-synchronised seconds; NULL where it was not measured.
ALTER TABLE cells ADD COLUMN tune_seconds REAL;
ALTER TABLE cells ADD COLUMN evaluate_seconds REAL;

-- Samples of a batch, or heads of a stack, as they ran: fewer than planned when memory was short. 0: not recorded.
ALTER TABLE stages ADD COLUMN batch INTEGER NOT NULL DEFAULT 0;
DROP VIEW v_throughput;
CREATE VIEW v_throughput AS
SELECT stage, encoder, tuner, task, device, items, unit, seconds,
       CASE WHEN seconds > 0 THEN items / seconds END AS per_second, peak_bytes, batch
FROM stages;

-- What a cell took each label for. `counts` is JSON, [[label, predicted, samples], ...] for the pairs that occur.
CREATE TABLE confusion (
  confusion_id INTEGER PRIMARY KEY,
  cell         INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
  test_set     TEXT NOT NULL,
  classes      INTEGER NOT NULL,
  counts       TEXT NOT NULL,
  UNIQUE (cell, test_set)
) STRICT;

-- One metric of every cell, without touching the others: what a leaderboard reads.
CREATE INDEX metrics_by_metric ON metrics (metric_id, cell, test_set_id, value);

-- As before, one row per cell x test set x metric and one for a cell without any; a filter by metric or by cell now reads
-- only what it asks for.
DROP VIEW v_results;
CREATE VIEW v_results AS
SELECT c.cell_id, c.matrix, s.encoder, s.pretrain_dataset, s.noise, s.noise_ratio, c.task, c.fraction, t.tuner,
       t.tuner_params, c.seed, ts.test_set, ts.test_kind, n.metric, m.value, c.status, c.device, c.created_at,
       s.encoder_params, c.message
FROM metrics m
JOIN metric_names n USING (metric_id)
JOIN test_sets ts USING (test_set_id)
JOIN cells c USING (cell)
JOIN sources s USING (source_id)
JOIN tuners t USING (tuner_id)
UNION ALL
SELECT c.cell_id, c.matrix, s.encoder, s.pretrain_dataset, s.noise, s.noise_ratio, c.task, c.fraction, t.tuner,
       t.tuner_params, c.seed, NULL, NULL, NULL, NULL, c.status, c.device, c.created_at,
       s.encoder_params, c.message
FROM cells c
JOIN sources s USING (source_id)
JOIN tuners t USING (tuner_id)
WHERE NOT EXISTS (SELECT 1 FROM metrics m WHERE m.cell = c.cell);

-- One row per cell, finished or failed.
CREATE VIEW v_cells AS
SELECT c.cell_id, c.matrix, s.encoder, s.encoder_params, s.pretrain_dataset, s.noise, s.noise_ratio, c.task, c.fraction,
       t.tuner, t.tuner_params, c.seed, c.status, c.message, c.device, c.tune_seconds, c.evaluate_seconds,
       c.checkpoint_id, c.coordinates, r.uuid AS run, r.host, r.git_revision, c.created_at
FROM cells c
JOIN sources s USING (source_id)
JOIN tuners t USING (tuner_id)
JOIN runs r USING (run_id);

-- One row per cell x test set x (label, predicted class) that occurs.
CREATE VIEW v_confusion AS
SELECT c.cell_id, k.test_set, json_extract(e.value, '$[0]') AS label, json_extract(e.value, '$[1]') AS predicted,
       json_extract(e.value, '$[2]') AS samples
FROM confusion k
JOIN cells c USING (cell)
JOIN json_each(k.counts) e;

-- One row per cell x test set x class that the test set has.
CREATE VIEW v_class_accuracy AS
SELECT cell_id, test_set, label, sum(samples) AS samples,
       sum(CASE WHEN label = predicted THEN samples ELSE 0 END) * 1.0 / sum(samples) AS accuracy
FROM v_confusion
GROUP BY cell_id, test_set, label;
