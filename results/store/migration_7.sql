-- Version 6 -> 7: what tells the stage runs of one encoder and tuner apart, and what they left in the cache. Of earlier
-- versions: '' and 0.

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
