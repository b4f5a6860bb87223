// What a run writes: plain records, no LibTorch and no SQL. See schema.sql for where each lands.
#pragma once

#include "records/predictions.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

// Provenance of one `nmlbench run`.
struct RunRecord {
  std::string matrix;       // name
  std::string matrix_json;  // full canonical matrix
  std::string command_line;
  std::string git_revision;   // of the harness, "-dirty" appended when the tree was modified
  std::string versions_json;  // {"nmlbench": "0.1.0", "libtorch": "...", "cuda": "...", "plugins": {...}}
  std::string host;
  std::string cpu;
  std::string gpu;  // "" without one
  int threads = 0;
  std::string matrix_source = {};  // JSON: file, text, set, folder, plugin_dirs; what plans the same matrix again
};

struct MetricRow {
  std::string test_set;
  std::string test_kind;  // "id" | "ood"
  std::string metric;     // one of records/metrics.h
  double value = 0.0;
};

// Singular values of one representation on one test set, descending, rows L2-normalised and centred.
struct SpectrumRow {
  std::string test_set;
  std::string space;      // "raw" | "tuned"
  std::string center;     // "column" | "row"
  std::int64_t rows = 0;  // samples used
  std::vector<float> values;
};

// What a head took each label of one test set for.
struct ConfusionRow {
  std::string test_set;
  std::int64_t classes = 0;
  std::vector<std::array<std::int64_t, 3>> counts;  // {label, predicted class, samples} of the pairs that occur, sorted
};

// One candidate of the grid that a cell's tuner was chosen from. Scores are means over the rows that it was scored on.
struct CandidateRow {
  std::int64_t candidate = 0;  // from 1, in written order
  std::string params;          // JSON: those in which candidates differ
  std::string status;          // "done" | "failed" | "not tried", when the rule asks for no scores
  std::string message;         // why it failed
  bool chosen = false;
  std::optional<double> accuracy, loss;
};

// One cell of the matrix, finished or failed.
struct CellRecord {
  std::string cell_id;      // content hash
  std::string coordinates;  // JSON: what identifies the cell without content digests; a failed row is replaced by a
                            // later cell with equal coordinates
  std::string matrix;
  std::string encoder;
  std::string encoder_params;    // canonical JSON
  std::string pretrain_dataset;  // "" without pre-training, or when it is not known
  std::string noise;             // as pretrain_dataset
  std::optional<double> noise_ratio;
  std::string checkpoint_id;
  std::string task;
  std::string task_noise;                    // of the task's training labels; "": none
  double task_noise_ratio = 0.0;             // as asked for
  std::optional<double> task_realised_rate;  // share of the rows trained on whose label it changed
  double fraction = 1.0;
  std::string tuner;
  std::string tuner_params;  // canonical JSON
  std::string selection;     // JSON: the rule by which one of several candidates is chosen; "" with one
  std::int64_t seed = 0;
  std::string recipe, pretrain_params;  // JSON; "" without pre-training here
  std::string task_params, protocol;    // JSON
  bool superseded = false;              // the newest plan of its matrix does not have it
  std::string status;                   // "done" | "failed"
  std::string message;                  // why it failed
  bool transient = false;  // it failed for want of something of the machine's: the same command tries again
  std::string device;
  std::vector<MetricRow> metrics;
  std::vector<SpectrumRow> spectra;
  std::vector<ConfusionRow> confusion;
  std::vector<PredictionRow> predictions;    // none when they are not kept
  std::vector<PredictionRow> probabilities;  // the same, of every class; of held-out rows one for each part of them
  std::vector<float> loss_curve;             // mean training loss of each epoch
  std::vector<CandidateRow> candidates;      // none without a grid
  // The cell's share of its stack's time, device-synchronised; empty where it was not measured.
  std::optional<double> tune_seconds, evaluate_seconds;
};

// One timed stage run (v_throughput). `seconds` is device-synchronised.
struct StageRecord {
  std::string stage;    // "pretrain" | "encode" | "tune" | "evaluate"
  std::string encoder;  // "" where the heads of a stack have several; so the task and the three below
  std::string tuner;    // "" before tuning
  std::string task;     // "" before tuning
  std::string device;
  double items = 0;
  std::string unit;  // "images" | "samples" | "head-steps"
  double seconds = 0;
  std::int64_t peak_bytes = 0;
  std::int64_t batch = 0;  // samples of a batch, or heads of a stack, as they ran: fewer when memory was short
  std::string encoder_params = {}, recipe = {};  // as the cells have them (records/columns.h)
  std::string tuner_params = {};                 // JSON of those that all heads of the stack share
  std::int64_t cache_bytes = 0;                  // what the stage left in the cache: weights, features
};

// One checkpoint pre-trained on targets that a noise model touched, here or as the matrix states it (v_noise).
struct NoiseRecord {
  std::string checkpoint_id;
  std::string encoder;
  std::string pretrain_dataset;
  std::string noise;
  double noise_ratio = 0.0;
  std::int64_t seed = 0;
  std::optional<double> realised_rate;  // nothing: it is not stated
  std::string transition_json;          // row-normalised [K][K]; "" (null): image-text pairs, or it is not known
  bool stated = false;                  // by the matrix, not measured here
  // How well its own head does the task that it was pre-trained on: on which data, and the identity of the measurement.
  std::string validation = {}, validation_id = {};  // "": not asked for
  std::int64_t upstream_samples = 0;
  std::optional<double> upstream_accuracy = {};  // top-1; nothing: not measured
};

// How far the leading directions of an encoder's features of a test set are turned against those of its clean twin, the
// checkpoint that differs in the noise of its pre-training alone (v_alignment).
struct AlignmentRecord {
  std::string id;  // of the measurement: both encodings and what is measured
  std::string checkpoint_id, twin_id;
  std::string task, test_set, test_kind;
  std::int64_t directions = 0;  // k
  std::int64_t samples = 0;
  double angle = 0.0;          // mean of the k principal angles, in degrees
  std::string encoder_params;  // JSON as a cell has it, with the readout
};

// One line of a run's log.
struct LogRecord {
  std::string at;     // "2026-11-24T12:00:00Z"
  std::string level;  // "info" | "warning" | "error"
  std::string message;
};

}  // namespace nmlbench
