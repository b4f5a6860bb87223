// A matrix as the user wrote it, structure checked, plugins not yet looked up (DESIGN 4). Lists for plugin parameters
// are still lists here: whether one is an axis or a value depends on the plugin's declaration.
#pragma once

#include "config/precision.h"
#include "config/value.h"
#include "records/stop_rule.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

// One noise model of a list, and the data that its replacement images come from (`source`).
struct NoiseSpec {
  PluginRef model;
  std::optional<PluginRef> source;
};

// What the user says of encoders that were pre-trained elsewhere. An empty list: it is not known.
struct StatedSpec {
  std::vector<std::string> encoders, datasets, noises;
  std::vector<double> noise_ratios, realised_rates;  // of rates as many as of ratios, or none
  Location where;
};

// One [[pretrain]]: a family of checkpoints, encoder x dataset x noise x optim x seed.
struct PretrainSpec {
  PluginRef encoder;
  std::optional<StatedSpec> stated;     // only without a dataset
  std::optional<PluginRef> dataset;     // none: weights as built (pixels, identity, random features)
  std::vector<NoiseSpec> noise;         // applied in this order; empty: clean
  PluginRef optim;                      // parameters of the training recipe; `plugin` is empty
  std::optional<PluginRef> validation;  // clean labels of the pre-training task, for the upstream accuracy
  PluginRef zero_shot;                  // parameters of sentences about its classes; `plugin` is empty
  Location where;
};

struct TestSpec {
  std::string name;  // empty: the domain of the data
  bool ood = false;
  PluginRef data;
  Location where;
};

struct TaskSpec {
  std::string name;
  PluginRef train;
  std::optional<PluginRef> views;  // parameters of the augmented training images; `plugin` is empty
  std::vector<double> fractions;   // of the training rows, per class, in (0, 1]
  std::vector<NoiseSpec> noise;    // of the training labels, as in PretrainSpec
  std::vector<TestSpec> tests;
  Location where;
};

// Cells that match every given column are left out.
struct ExcludeSpec {
  std::vector<std::pair<std::string, std::vector<Value>>> columns;
  Location where;
};

struct EncodeSpec {
  Precision precision = Precision::fp32;
};

// How singular value spectra are computed (PAPER.md, "Feature-space analysis").
struct AnalysisSpec {
  bool center_rows = false;        // "row" as in the released code; default "column" as in the paper
  std::int64_t max_rows = 10'000;  // test rows used; a seeded subset above
};

// [stop]: seeds are added until claims are decided.
struct StopSpec {
  StopRule rule;
  std::vector<Location> where;  // of each claim
};

struct MatrixSpec {
  std::filesystem::path file;
  std::string name;
  std::vector<std::int64_t> seeds;  // those of [matrix], and behind them those that stop.seeds adds
  SeedBatches batches;
  std::optional<StopSpec> stop;
  std::vector<PretrainSpec> pretrains;
  std::vector<TaskSpec> tasks;
  std::vector<PluginRef> tuners;
  std::vector<ExcludeSpec> excludes;
  std::optional<PluginRef> selection;  // how a tuner's candidates are chosen from; `plugin` is empty
  EncodeSpec encode;
  AnalysisSpec analysis;
  bool overridden = false;  // --set may have narrowed an axis that an [[exclude]] speaks of
};

// Columns that [[exclude]] may name: what tells cells apart, but for parameters, which are many and nested.
const std::vector<std::string>& exclude_columns();

// A matrix as it was given: what a run keeps, so that the same one can be planned again.
struct MatrixSource {
  std::filesystem::path file;    // names it in messages; relative paths in the text are relative to its folder
  std::string text;              // TOML
  std::vector<std::string> set;  // overrides, "a.b=c"
};
// Throws Error when the file cannot be read.
MatrixSource read_source(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

// Reads and checks a matrix after applying its overrides ("a.b=c", from --set). An override addresses a key by its
// dotted path; in an array of tables, `tuner[1].lr` means one element and `tuner.lr` all of them. Throws ConfigError
// with file, line, column and key.
MatrixSpec read_matrix(const MatrixSource& source);

}  // namespace nmlbench
