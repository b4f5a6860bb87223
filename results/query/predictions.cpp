#include "results/query/predictions.h"

#include "results/store/database.h"

#include <nmlbench/error.h>

#include <span>
#include <string_view>

#include <fmt/format.h>

namespace nmlbench {

namespace {

std::span<const std::uint8_t> bytes_of(const SQLite::Column& column) {
  return {static_cast<const std::uint8_t*>(column.getBlob()), static_cast<std::size_t>(column.getBytes())};
}

void require_encoding(const SQLite::Column& column, std::string_view known) {
  if (column.getString() == known) return;
  throw Error(fmt::format("predictions are packed as \"{}\", which this nmlbench does not know; update it",
                          column.getString()));
}

using SampleSets = std::unordered_map<std::string, std::shared_ptr<const SampleSet>>;

// Of the columns that answers and probabilities have alike.
const std::shared_ptr<const SampleSet>& samples_of(SQLite::Statement& statement, int first, SampleSets& sets) {
  const auto column = [&](int i) { return statement.getColumn(first + i); };
  std::shared_ptr<const SampleSet>& samples = sets[column(0).getString()];
  if (samples == nullptr) {
    require_encoding(column(3), kLabelEncoding);
    const std::int64_t count = column(1).getInt64(), classes = column(2).getInt64();
    if (count < 0 || count > std::int64_t{1} << 40U) throw Error("the number of kept samples is damaged");
    samples = std::make_shared<const SampleSet>(
        SampleSet{column(0).getString(), classes, unpack_labels(bytes_of(column(4)), count, classes)});
  }
  return samples;
}

}  // namespace

Answers answers_of(SQLite::Statement& statement, int first, SampleSets& sets) {
  const std::shared_ptr<const SampleSet>& samples = samples_of(statement, first, sets);
  require_encoding(statement.getColumn(first + 5), kPredictionEncoding);
  return {samples, unpack_predictions(bytes_of(statement.getColumn(first + 6)), samples->labels, samples->classes)};
}

ClassProbabilities probabilities_of(SQLite::Statement& statement, int first, SampleSets& sets) {
  const std::shared_ptr<const SampleSet>& samples = samples_of(statement, first, sets);
  require_encoding(statement.getColumn(first + 5), kProbabilityEncoding);
  const auto count = static_cast<std::int64_t>(samples->labels.size());
  return {samples, unpack_probabilities(bytes_of(statement.getColumn(first + 6)), count, samples->classes)};
}

PredictionReader::PredictionReader(const Store& store)
    : statement_(store.impl().db,
                 fmt::format("SELECT {} FROM v_predictions WHERE cell_id = ? AND test_set = ?", kAnswerColumns)) {}

std::optional<Answers> PredictionReader::read(const std::string& cell_id, const std::string& test_set) {
  statement_.reset();
  statement_.bind(1, cell_id);
  statement_.bind(2, test_set);
  if (!statement_.executeStep()) return std::nullopt;
  return answers_of(statement_, 0, sets_);
}

ProbabilityReader::ProbabilityReader(const Store& store)
    : statement_(store.impl().db,
                 fmt::format("SELECT {} FROM v_probabilities WHERE cell_id = ? AND test_set = ? ORDER BY part",
                             kProbabilityColumns)) {}

std::optional<ClassProbabilities> ProbabilityReader::of_test_set(const std::string& cell_id,
                                                                 const std::string& test_set) {
  statement_.reset();
  statement_.bind(1, cell_id);
  statement_.bind(2, test_set);
  if (!statement_.executeStep()) return std::nullopt;
  return probabilities_of(statement_, 0, sets_);
}

std::vector<ClassProbabilities> ProbabilityReader::held_out(const std::string& cell_id) {
  statement_.reset();
  statement_.bind(1, cell_id);
  statement_.bind(2, "");
  std::vector<ClassProbabilities> parts;
  while (statement_.executeStep()) parts.push_back(probabilities_of(statement_, 0, sets_));
  return parts;
}

}  // namespace nmlbench
