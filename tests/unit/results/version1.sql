-- A results database as version 1 of the schema left it, dumped.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE runs (
  run_id        INTEGER PRIMARY KEY,
  uuid          TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),
  matrix        TEXT NOT NULL,
  matrix_json   TEXT NOT NULL,
  command_line  TEXT NOT NULL,
  git_revision  TEXT NOT NULL,
  versions_json TEXT NOT NULL,
  host          TEXT NOT NULL,
  cpu           TEXT NOT NULL,
  gpu           TEXT NOT NULL,
  threads       INTEGER NOT NULL,
  started_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
INSERT INTO runs VALUES(1,'5d0f4e0a6a1c4c0fb1f1a7a0c9b0d001','tiny','{"matrix":{"name":"tiny"}}','nmlbench run tiny.toml','0c95ad6','{"nmlbench":"0.1.0"}','host','cpu','',2,'2026-01-02T03:04:05Z');
CREATE TABLE sources (
  source_id        INTEGER PRIMARY KEY,
  encoder          TEXT NOT NULL,
  encoder_params   TEXT NOT NULL,
  pretrain_dataset TEXT NOT NULL,
  noise            TEXT NOT NULL,
  noise_ratio      REAL NOT NULL,
  UNIQUE (encoder, encoder_params, pretrain_dataset, noise, noise_ratio)
) STRICT;
INSERT INTO sources VALUES(1,'resnet-tiny','{"width":4}','procedural','symmetric',0.0);
INSERT INTO sources VALUES(2,'resnet-tiny','{"width":4}','procedural','symmetric',0.29999999999999998889);
CREATE TABLE tuners (
  tuner_id     INTEGER PRIMARY KEY,
  tuner        TEXT NOT NULL,
  tuner_params TEXT NOT NULL,
  UNIQUE (tuner, tuner_params)
) STRICT;
INSERT INTO tuners VALUES(1,'linear-probe','{"lr":0.01}');
INSERT INTO tuners VALUES(2,'mlp','{"lr":0.001}');
CREATE TABLE test_sets (
  test_set_id INTEGER PRIMARY KEY,
  task        TEXT NOT NULL,
  test_set    TEXT NOT NULL,
  test_kind   TEXT NOT NULL CHECK (test_kind IN ('id', 'ood')),
  UNIQUE (task, test_set, test_kind)
) STRICT;
INSERT INTO test_sets VALUES(1,'general','photo','id');
INSERT INTO test_sets VALUES(2,'general','sketch','ood');
CREATE TABLE metric_names (
  metric_id INTEGER PRIMARY KEY,
  metric    TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO metric_names VALUES(1,'accuracy');
INSERT INTO metric_names VALUES(2,'loss');
CREATE TABLE cells (
  cell          INTEGER PRIMARY KEY,
  cell_id       TEXT NOT NULL UNIQUE,  -- content hash
  coordinates   TEXT NOT NULL,         -- JSON: the identity without content digests
  run_id        INTEGER NOT NULL REFERENCES runs,
  matrix        TEXT NOT NULL,
  source_id     INTEGER NOT NULL REFERENCES sources,
  checkpoint_id TEXT NOT NULL,
  task          TEXT NOT NULL,
  fraction      REAL NOT NULL,
  tuner_id      INTEGER NOT NULL REFERENCES tuners,
  seed          INTEGER NOT NULL,
  status        TEXT NOT NULL CHECK (status IN ('done', 'failed')),
  message       TEXT NOT NULL,         -- why it failed
  device        TEXT NOT NULL,
  created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
INSERT INTO cells VALUES(1,'a1','coordinates of a1',1,'tiny',1,'c1','general',1.0,1,0,'done','','cpu','2026-01-02T03:05:00Z');
INSERT INTO cells VALUES(2,'a2','coordinates of a2',1,'tiny',2,'c2','general',1.0,1,0,'done','','cpu','2026-01-02T03:05:01Z');
INSERT INTO cells VALUES(3,'a3','coordinates of a3',1,'tiny',1,'c1','general',1.0,2,0,'done','','cpu','2026-01-02T03:05:02Z');
INSERT INTO cells VALUES(4,'a4','coordinates of a4',1,'tiny',2,'c2','general',1.0,2,0,'failed','training diverged','cpu','2026-01-02T03:05:03Z');
CREATE TABLE metrics (
  cell        INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
  test_set_id INTEGER NOT NULL REFERENCES test_sets,
  metric_id   INTEGER NOT NULL REFERENCES metric_names,
  value       REAL,  -- NULL: not a number
  PRIMARY KEY (cell, test_set_id, metric_id)
) STRICT, WITHOUT ROWID;
INSERT INTO metrics VALUES(1,1,1,0.75);
INSERT INTO metrics VALUES(1,1,2,0.5);
INSERT INTO metrics VALUES(1,2,1,0.5);
INSERT INTO metrics VALUES(1,2,2,1.5);
INSERT INTO metrics VALUES(2,1,1,0.625);
INSERT INTO metrics VALUES(2,2,1,0.25);
INSERT INTO metrics VALUES(3,1,1,0.875);
INSERT INTO metrics VALUES(3,1,2,NULL);
INSERT INTO metrics VALUES(3,2,1,0.5);
CREATE TABLE spectra (
  cell            INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
  test_set        TEXT NOT NULL,
  space           TEXT NOT NULL CHECK (space IN ('raw', 'tuned')),
  center          TEXT NOT NULL CHECK (center IN ('column', 'row')),
  samples         INTEGER NOT NULL,
  singular_values BLOB NOT NULL,
  PRIMARY KEY (cell, test_set, space, center)
) STRICT, WITHOUT ROWID;
INSERT INTO spectra VALUES(1,'photo','raw','column',40,X'00004040000000400000803f');
CREATE TABLE curves (
  cell INTEGER PRIMARY KEY REFERENCES cells ON DELETE CASCADE,
  loss BLOB NOT NULL
) STRICT;
INSERT INTO curves VALUES(1,X'0000c03f0000803f');
CREATE TABLE stages (
  run_id     INTEGER NOT NULL REFERENCES runs,
  ordinal    INTEGER NOT NULL,
  stage      TEXT NOT NULL CHECK (stage IN ('pretrain', 'encode', 'tune', 'evaluate')),
  encoder    TEXT NOT NULL,
  tuner      TEXT NOT NULL,
  task       TEXT NOT NULL,
  device     TEXT NOT NULL,
  items      REAL NOT NULL,
  unit       TEXT NOT NULL,
  seconds    REAL NOT NULL,
  peak_bytes INTEGER NOT NULL,
  PRIMARY KEY (run_id, ordinal)
) STRICT, WITHOUT ROWID;
INSERT INTO stages VALUES(1,1,'pretrain','resnet-tiny','','','cpu',480.0,'images',0.5,1048576);
INSERT INTO stages VALUES(1,2,'tune','resnet-tiny','mlp','general','cpu',100.0,'head-steps',0.25,1048576);
CREATE TABLE noise (
  checkpoint_id    TEXT PRIMARY KEY,
  run_id           INTEGER NOT NULL REFERENCES runs,
  encoder          TEXT NOT NULL,
  pretrain_dataset TEXT NOT NULL,
  noise            TEXT NOT NULL,
  noise_ratio      REAL NOT NULL,
  seed             INTEGER NOT NULL,
  realised_rate    REAL NOT NULL,
  transition       TEXT  -- JSON [K][K], row-normalised; NULL for image-text pairs
) STRICT, WITHOUT ROWID;
INSERT INTO noise VALUES('c2',1,'resnet-tiny','procedural','symmetric',0.29999999999999998889,0,0.29999999999999998889,'[[0.7,0.3],[0.3,0.7]]');
CREATE INDEX cells_by_coordinates ON cells (coordinates) WHERE status = 'failed';
CREATE INDEX cells_by_matrix ON cells (matrix);
CREATE INDEX cells_by_run ON cells (run_id);
CREATE VIEW v_results AS
SELECT c.cell_id, c.matrix, s.encoder, s.pretrain_dataset, s.noise, s.noise_ratio, c.task, c.fraction, t.tuner,
       t.tuner_params, c.seed, ts.test_set, ts.test_kind, n.metric, m.value, c.status, c.device, c.created_at,
       s.encoder_params, c.message
FROM cells c
JOIN sources s USING (source_id)
JOIN tuners t USING (tuner_id)
LEFT JOIN metrics m USING (cell)
LEFT JOIN test_sets ts USING (test_set_id)
LEFT JOIN metric_names n USING (metric_id);
CREATE VIEW v_throughput AS
SELECT stage, encoder, tuner, task, device, items, unit, seconds,
       CASE WHEN seconds > 0 THEN items / seconds END AS per_second, peak_bytes
FROM stages;
CREATE VIEW v_noise AS
SELECT encoder, pretrain_dataset, noise, noise_ratio, seed, realised_rate, transition
FROM noise;
COMMIT;
PRAGMA application_id = 1313688642;
PRAGMA user_version = 1;
