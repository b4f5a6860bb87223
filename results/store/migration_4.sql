-- Version 3 -> 4: cells that failed for want of something of the machine's are tried again.

-- 1: no space, no memory, too many open files, a disk's error, rather than a fault of the cell.
ALTER TABLE cells ADD COLUMN transient INTEGER NOT NULL DEFAULT 0;
DROP VIEW v_cells;
CREATE VIEW v_cells AS
SELECT c.cell_id, c.matrix, s.encoder, s.encoder_params, s.pretrain_dataset, s.noise, s.noise_ratio, c.task, c.fraction,
       t.tuner, t.tuner_params, c.seed, c.status, c.message, c.device, c.tune_seconds, c.evaluate_seconds,
       c.checkpoint_id, c.coordinates, r.uuid AS run, r.host, r.git_revision, c.created_at, c.transient
FROM cells c
JOIN sources s USING (source_id)
JOIN tuners t USING (tuner_id)
JOIN runs r USING (run_id);
