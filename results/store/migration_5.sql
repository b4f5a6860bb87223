-- Version 4 -> 5: noise of encoders that were pre-trained elsewhere, as the matrix states it.
DROP VIEW v_noise;
CREATE TABLE noise_of_5 (
  checkpoint_id    TEXT PRIMARY KEY,
  run_id           INTEGER NOT NULL REFERENCES runs,
  encoder          TEXT NOT NULL,
  pretrain_dataset TEXT NOT NULL,
  noise            TEXT NOT NULL,
  noise_ratio      REAL NOT NULL,
  seed             INTEGER NOT NULL,
  realised_rate    REAL,              -- NULL: not stated
  transition       TEXT,              -- JSON [K][K], row-normalised; NULL for image-text pairs, and when not known
  provenance       TEXT NOT NULL DEFAULT 'here' CHECK (provenance IN ('here', 'stated'))
) STRICT, WITHOUT ROWID;
INSERT INTO noise_of_5 (checkpoint_id, run_id, encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition)
  SELECT checkpoint_id, run_id, encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition FROM noise;
DROP TABLE noise;
ALTER TABLE noise_of_5 RENAME TO noise;

-- One row per checkpoint pre-trained on targets that a noise model touched, here or elsewhere.
CREATE VIEW v_noise AS
SELECT encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition, provenance
FROM noise;
