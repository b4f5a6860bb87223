// Kept predictions, unpacked. Internal to results/.
#pragma once

#include "records/predictions.h"
#include "results/store/store.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Statement.h>

namespace nmlbench {

// The samples of a test set.
struct SampleSet {
  std::string digest;  // equal for the same samples in the same order
  std::int64_t classes = 0;
  std::vector<std::int32_t> labels;  // [N]
};

// What one cell answered on one test set.
struct Answers {
  std::shared_ptr<const SampleSet> samples;
  Predictions given;

  bool right(std::size_t sample) const { return given.predicted[sample] == samples->labels[sample]; }
};

// Labels of one sample set are unpacked once.
class PredictionReader {
 public:
  explicit PredictionReader(const Store& store);

  // Nothing when they were not kept. Throws Error when they are damaged, or packed as a newer nmlbench does.
  std::optional<Answers> read(const std::string& cell_id, const std::string& test_set);

 private:
  SQLite::Statement statement_;
  std::unordered_map<std::string, std::shared_ptr<const SampleSet>> sets_;
};

// What one cell gave every class of each sample.
struct ClassProbabilities {
  std::shared_ptr<const SampleSet> samples;
  std::vector<float> log_p;  // [N * classes], natural logarithms, samples one after the other
};

class ProbabilityReader {
 public:
  explicit ProbabilityReader(const Store& store);

  // Of a test set. Nothing when they were not kept. Throws Error when they are damaged, or packed as a newer nmlbench
  // does.
  std::optional<ClassProbabilities> of_test_set(const std::string& cell_id, const std::string& test_set);
  // Of the training rows that [selection] held out, one for each part of them.
  std::vector<ClassProbabilities> held_out(const std::string& cell_id);

 private:
  SQLite::Statement statement_;
  std::unordered_map<std::string, std::shared_ptr<const SampleSet>> sets_;
};

// Columns of v_predictions from `first` on, in the order of kAnswerColumns, as answers. `sets`: those unpacked before.
inline constexpr const char* kAnswerColumns =
    "samples_digest, samples, classes, labels_encoding, labels, predictions_encoding, predictions";
Answers answers_of(SQLite::Statement& statement, int first,
                   std::unordered_map<std::string, std::shared_ptr<const SampleSet>>& sets);
// The same of v_probabilities.
inline constexpr const char* kProbabilityColumns =
    "samples_digest, samples, classes, labels_encoding, labels, probabilities_encoding, probabilities";
ClassProbabilities probabilities_of(SQLite::Statement& statement, int first,
                                    std::unordered_map<std::string, std::shared_ptr<const SampleSet>>& sets);

}  // namespace nmlbench
