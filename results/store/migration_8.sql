-- Version 7 -> 8: noise of the labels that heads train on.

-- One row per checkpoint pre-trained on targets that a noise model touched, here or elsewhere (stage 'pretrain'), and one
-- per matrix, task, fraction, noise and seed whose training labels one touched (stage 'task'), with the rate among the
-- rows that were trained on; its columns of checkpoints are '' or null.
DROP VIEW v_noise;
CREATE VIEW v_noise AS
SELECT encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition, provenance, validation,
       upstream_samples, upstream_accuracy, checkpoint_id, 'pretrain' AS stage, '' AS matrix, '' AS task,
       NULL AS fraction
FROM noise
UNION ALL
SELECT DISTINCT '', '', task_noise, task_noise_ratio, seed, task_realised_rate, NULL, 'here', NULL, NULL, NULL, NULL,
       'task', matrix, task, fraction
FROM cells WHERE task_noise <> '' AND status = 'done';
