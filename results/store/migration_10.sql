-- Version 9 -> 10: which readout of a checkpoint an alignment is of.

-- As v_results has them; '' in rows of earlier versions.
ALTER TABLE alignments ADD COLUMN encoder_params TEXT NOT NULL DEFAULT '';

-- One row per noisy checkpoint x readout x test set whose clean twin was measured in the same matrix.
DROP VIEW v_alignment;
CREATE VIEW v_alignment AS
SELECT a.checkpoint_id, a.twin_id, z.encoder, z.noise, z.noise_ratio, z.realised_rate, z.seed, a.task, a.test_set,
       a.test_kind, a.directions, a.samples, a.angle, a.encoder_params
FROM alignments a LEFT JOIN noise z USING (checkpoint_id);
