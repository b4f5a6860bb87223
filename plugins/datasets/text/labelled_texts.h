// What readers of labelled texts share: the columns of tables, classes, a limit, the digest of what is served.
#pragma once

#include "text_table.h"

#include <nmlbench/dataset.h>
#include <nmlbench/params.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench::plugins {

#define NMLBENCH_TEXT_PARAMS                                                                                    \
  ::nmlbench::choice("malformed", "fail", "fail|skip",                                                          \
                     "lines with another number of columns: an error that names one, or left out and counted"), \
      ::nmlbench::text("domain", "", "names the test set; \"\" when the data have no domains")                  \
          .as(::nmlbench::Role::domain),                                                                        \
      ::nmlbench::integer("limit", "0", "use so many samples, the same share of each class; 0 uses all")        \
          .in("samples")                                                                                        \
          .range(0, 1e12),                                                                                      \
      ::nmlbench::integer("limit_seed", "0", "chooses the samples under a limit").range(0, 1e15)

// Where a table keeps what: names of its header or, without one, numbers from 1.
struct TextColumns {
  std::string text, text_pair, label;  // text_pair: "" for single sentences
  bool header = true;
};

// A text with its label as the file has it.
struct TextRow {
  Text text;
  std::string label;
  std::int64_t line;  // of its file
};

struct LabelledTexts {
  std::vector<Text> texts;
  std::vector<std::int64_t> labels;
  std::int64_t classes = 0;
  std::vector<std::string> class_names;
  std::vector<std::string> metrics;  // SplitInfo's
  std::vector<double> scores;        // SplitInfo's
};

class LabelledTextDataset : public Dataset {
 public:
  explicit LabelledTextDataset(const Params& params) : params_(params) {}

  SplitInfo open() final;
  std::string digest() final;
  torch::Tensor labels() final { return labels_; }
  torch::Tensor rows() final { return kept_; }
  torch::Tensor samples(const torch::Tensor&, torch::Device) final;  // throws: texts have none
  std::vector<Text> texts(const torch::Tensor& indices) final;

 protected:
  // Every sample. Throws DataError.
  virtual LabelledTexts read() = 0;
  // The files that read() reads, and the parameters that choose what it takes from them, as text.
  virtual std::vector<std::filesystem::path> files() const = 0;
  virtual std::string choices() const = 0;

  // The rows of a table in its columns. Throws DataError for a column that is not there and, unless `malformed` says
  // otherwise, for a row with more or fewer columns than the first.
  std::vector<TextRow> rows_of(const std::filesystem::path& file, TableFormat format, const TextColumns& columns) const;

  const Params& params() const { return params_; }

 private:
  const LabelledTexts& all();

  Params params_;
  std::optional<LabelledTexts> all_;  // before the limit
  torch::Tensor kept_;                // int64, the samples in use
  torch::Tensor labels_;              // int64, of those
};

}  // namespace nmlbench::plugins
