// The plan of a matrix: which checkpoints to train, which splits to encode with them, which heads to fit. Everything
// in it has an identity, a hash of all that decides its result; equal work appears once (DESIGN 7).
//
//   Split (data) <- Checkpoint (weights) <- Encoding (features of one split) <- Cell (one head on one task)
#pragma once

#include "config/matrix_spec.h"
#include "plan/catalog.h"
#include "plan/inspector.h"
#include "plan/optim.h"
#include "plan/selection.h"
#include "plan/views.h"
#include "plan/zero_shot.h"

#include <nmlbench/random.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct Split {
  ResolvedPlugin plugin;
  SplitFacts facts;
  std::string params;  // params_with_files(), for people

  bool is_text() const { return facts.info.kind == SampleKind::text; }
};

// One noise model of a list, of a checkpoint's or a task's.
struct NoiseStep {
  ResolvedPlugin model;
  std::optional<std::size_t> source;  // Plan::splits that its replacement samples come from
  std::string source_name;            // "image-folder(path=textures)"
};

struct TestSet {
  std::string name;
  bool ood = false;
  std::size_t split = 0;
  std::vector<std::int64_t> classes;  // ClassMatch::classes
  std::string obstacle;               // why it cannot be measured after training on the task's split, or ""
};

// What the head of a checkpoint's pre-training is measured on. Part of no identity but its own.
struct Validation {
  TestSet test;        // its name is that of the data, "procedural(split=test)"
  ZeroShot zero_shot;  // of an encoder that learned from captions and has no head
  std::string id;      // of what is measured
};

// How a checkpoint came about elsewhere, as the matrix states it; what is empty is not known.
struct Stated {
  std::string encoder, dataset, noise;
  std::optional<double> noise_ratio, realised_rate;
};

// An encoder's weights: trained on noisy targets, or as built.
struct Checkpoint {
  std::string id;
  ResolvedPlugin encoder;
  std::vector<ResolvedPlugin> readouts;  // the encoder with each readout that cells want; the first is `encoder`
  std::optional<Stated> stated;
  std::optional<std::size_t> split;  // Plan::splits it is trained on; none: weights as built
  std::vector<NoiseStep> noise;      // applied in this order; one step `clean` when the matrix names none
  Optim optim;
  std::optional<Validation> validation;
  std::int64_t seed = 0;  // of weights, noise and batches; 0 when nothing is drawn

  bool trained() const { return split.has_value(); }
  // The name of the encoder's plugin, or the one that is stated.
  const std::string& encoder_name() const;
  // How results call the noise: the models' names joined by "+", each with the parameters that differ from their
  // defaults, "long-tail(factor=100)+symmetric". The ratio stands in noise_ratio(); where several models have one, here
  // too. "" without training, unless it is stated.
  std::string noise_name() const;
  // The names alone: "long-tail+symmetric".
  std::string noise_models() const;
  // Of one model: its `ratio`, 0 when it has none. Of several: 1 - prod(1 - ratio_i), the share of samples that at
  // least one of them chooses when they choose independently. Without training: what is stated, or nothing.
  std::optional<double> noise_ratio() const;
};

// The frozen features of one split under one checkpoint and readout: of all its samples, or of all of each view after
// another.
struct Encoding {
  std::string id;
  std::size_t checkpoint = 0;
  std::size_t readout = 0;  // Checkpoint::readouts
  std::size_t split = 0;
  Views views;
};

// A task of the matrix; one for each checkpoint when its files' names depend on the checkpoint's coordinates.
struct Task {
  std::string name;
  std::size_t spec = 0;   // MatrixSpec::tasks
  std::size_t train = 0;  // Plan::splits
  Views views;            // of the training images
  // Of the training labels, an axis: Plan::task_noises, or none where nothing is changed.
  std::vector<std::optional<std::size_t>> noises;
  std::vector<TestSet> tests;
  std::string params;  // JSON of the parameters of its data and views, {"train.per_class": 80, ..}, for people
};

// A tuner with candidates, of which Plan::selection takes one for each cell.
struct Grid {
  std::vector<std::size_t> candidates;  // Plan::tuners, two or more, as in plan/candidates.h
  std::string params;                   // canonical JSON: those that candidates differ in are lists
};

// One head: tuned on a task's training features, measured on all its test sets.
struct Cell {
  std::string id;
  std::string coordinates;  // hash of the identity without content digests: survives a repaired file
  std::size_t checkpoint = 0;
  std::size_t readout = 0;  // Checkpoint::readouts
  std::size_t task = 0;
  std::optional<std::size_t> noise;  // Plan::task_noises; none: the labels are the data's own
  double fraction = 1.0;
  std::size_t tuner = 0;             // Plan::tuners; of a grid the first, until one is chosen
  std::optional<std::size_t> grid;   // Plan::grids; none: nothing is chosen
  std::optional<std::int64_t> part;  // of the training rows that is held out from it; none: it trains on all
  std::int64_t seed = 0;
  std::size_t train = 0;           // Plan::encodings
  std::vector<std::size_t> tests;  // Plan::encodings, in the task's order
  std::string obstacle;            // why its encoder cannot take its data, or ""
};

struct Plan {
  std::string matrix;     // name
  std::string canonical;  // JSON of everything, for provenance
  std::string protocol;   // JSON of `encode` and `analysis`
  EncodeSpec encode;
  AnalysisSpec analysis;
  std::vector<Split> splits;
  std::vector<Checkpoint> checkpoints;
  std::vector<Encoding> encodings;
  std::vector<Task> tasks;
  std::vector<std::vector<NoiseStep>> task_noises;  // each applied in its order
  std::vector<std::string> task_noise_ids;          // of each of them, a content hash
  std::vector<ResolvedPlugin> tuners;
  std::optional<Selection> selection;
  std::vector<Grid> grids;
  SeedBatches batches;
  std::vector<Cell> cells;                   // by checkpoint, readout, task, noise, fraction, tuner, seed
  std::vector<std::string> cells_elsewhere;  // ids of the cells of other shards
  bool keep_predictions = true;              // in the records; part of no identity
  bool keep_probabilities = false;           // the same, of all classes and of held-out rows
  bool trials = false;                       // its cells are trials of another plan's (plan/trials.h)

  // The encoder of a cell, with its readout.
  const ResolvedPlugin& encoder(const Cell& cell) const { return checkpoints[cell.checkpoint].readouts[cell.readout]; }
  // Rows that an encoding has.
  std::int64_t rows(const Encoding& encoding) const {
    return splits[encoding.split].facts.info.size * encoding.views.copies();
  }
  // What is counted while encoders train and encode: "images", or "samples" where some are texts.
  const char* sample_unit() const {
    return std::any_of(splits.begin(), splits.end(), [](const Split& split) { return split.is_text(); }) ? "samples"
                                                                                                         : "images";
  }
  // Why this cell cannot run (data that cannot be read), or "".
  std::string obstacle(const Cell& cell) const;
};

// Throws ConfigError for whatever the plugins' declarations do not allow. Data that cannot be read is no error here:
// it is written into Split::facts, and only the cells that need it fail.
Plan make_plan(const MatrixSpec& spec, const Catalog& catalog, const Inspector& inspector);

// Keeps the cells of shard `index` (1-based) of `count`: of each batch of seeds one contiguous block, so that few
// checkpoints are needed twice, and seeds that are added move no cell to another shard.
void keep_shard(Plan& plan, std::int64_t index, std::int64_t count);

// Keeps the cells with these ids.
void keep_cells(Plan& plan, const std::vector<std::string>& ids);

// The name of what an encoder was pre-trained on, here or as it is stated; "" where that is not known.
std::string pretrain_dataset(const Plan& plan, const Checkpoint& checkpoint);

// Rows that a fraction keeps of a class of `n`: n * fraction, rounded down, at least one. The fraction is the decimal
// number that the matrix says: 0.29 of 100 are 29, though in binary 100 * 0.29 is below.
std::int64_t subset_size(std::int64_t n, double fraction);

// The named draws of a head. Cells that differ in checkpoint or tuner share them.
Stream cell_draws(const Plan& plan, const Cell& cell);
// The draws that pick the training rows: without the fraction, so that smaller fractions are subsets of larger ones.
Stream subset_draws(const Plan& plan, const Cell& cell);
// The draws of a task's noise, likewise: one sample has one label in every fraction.
Stream task_noise_draws(const Plan& plan, const Cell& cell);

}  // namespace nmlbench
