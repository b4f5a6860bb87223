-- Version 6 -> 7: how well each checkpoint does the task that it was pre-trained on.

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
