-- Version 6 -> 7: what tells stage runs apart, and how well each checkpoint does the task that it was pre-trained on.

-- Settings, as far as the heads of a stack share them, and the bytes that a stage left in the cache. Of earlier versions:
-- '' and 0.
ALTER TABLE stages ADD COLUMN encoder_params TEXT NOT NULL DEFAULT '';
ALTER TABLE stages ADD COLUMN recipe TEXT NOT NULL DEFAULT '';
ALTER TABLE stages ADD COLUMN tuner_params TEXT NOT NULL DEFAULT '';
ALTER TABLE stages ADD COLUMN cache_bytes INTEGER NOT NULL DEFAULT 0;

-- One row per stage run. A stack of heads is one run: what its heads do not share is ''.
DROP VIEW v_throughput;
CREATE VIEW v_throughput AS
SELECT stage, encoder, tuner, task, device, items, unit, seconds,
       CASE WHEN seconds > 0 THEN items / seconds END AS per_second, peak_bytes, batch, encoder_params, recipe,
       tuner_params, cache_bytes
FROM stages;

-- Data with clean labels, for people; the identity of the measurement; NULL where none was asked for.
ALTER TABLE noise ADD COLUMN validation TEXT;
ALTER TABLE noise ADD COLUMN validation_id TEXT;
ALTER TABLE noise ADD COLUMN upstream_samples INTEGER;
ALTER TABLE noise ADD COLUMN upstream_accuracy REAL;
DROP VIEW v_noise;
CREATE VIEW v_noise AS
SELECT encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition, provenance, validation,
       upstream_samples, upstream_accuracy, checkpoint_id
FROM noise;
