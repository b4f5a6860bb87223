#include "results/store/cell_writer.h"

#include "records/columns.h"
#include "records/metrics.h"

#include <nmlbench/error.h>

#include <bit>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

static_assert(std::endian::native == std::endian::little, "BLOB columns hold little-endian floats");

void bind_one(SQLite::Statement& statement, int index, const std::optional<double>& value) {
  if (value) {
    statement.bind(index, *value);
  } else {
    statement.bind(index);  // NULL
  }
}
void bind_one(SQLite::Statement& statement, int index, bool value) {
  statement.bind(index, value ? 1 : 0);
}
void bind_one(SQLite::Statement& statement, int index, const std::vector<float>& values) {
  // A null pointer would bind NULL.
  const void* data = values.empty() ? static_cast<const void*>("") : values.data();
  statement.bind(index, data, static_cast<int>(values.size() * sizeof(float)));
}
template <typename Value>
void bind_one(SQLite::Statement& statement, int index, const Value& value) {
  statement.bind(index, value);
}

void bind_one(SQLite::Statement& statement, int index, const Bytes& bytes) {
  statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

template <typename... Values>
void bind_all(SQLite::Statement& statement, const Values&... values) {
  int index = 0;
  (bind_one(statement, ++index, values), ...);
}

template <typename... Values>
void execute(SQLite::Statement& statement, const Values&... values) {
  bind_all(statement, values...);
  statement.exec();
  statement.reset();
}

// First the rows of other tables, then what the record fills, in the order of the table of columns.
std::string insert_cell_sql() {
  std::vector<std::string_view> names = {"run_id", "source_id", "tuner_id"};
  for (const CellColumn& column : kCellColumns) {
    if (column.home == Home::cells && column.member.index() != 0) names.push_back(column.name);
  }
  return fmt::format("INSERT INTO cells ({}) VALUES ({})", fmt::join(names, ", "),
                     fmt::join(std::vector<std::string_view>(names.size(), "?"), ", "));
}

void append(std::string& key, const std::string& text) {
  key += text;
  key += '\0';
}
void append(std::string& key, double number) {
  key.append(reinterpret_cast<const char*>(&number), sizeof number);
}

// OR IGNORE would hide a failed CHECK as well, and the row would then miss its test set without a word.
void require_kind(const CellRecord& cell, const MetricRow& row) {
  if (row.test_kind == "id" || row.test_kind == "ood") return;
  throw Error(fmt::format("cell {}: test set \"{}\" has kind \"{}\"; expected id or ood", cell.cell_id, row.test_set,
                          row.test_kind));
}

std::string counts_json(const ConfusionRow& row) {
  std::string json = "[";
  for (const auto& [label, predicted, samples] : row.counts) {
    fmt::format_to(std::back_inserter(json), "{}[{},{},{}]", json.size() > 1 ? "," : "", label, predicted, samples);
  }
  return json + "]";
}

}  // namespace

template <typename... Values>
std::int64_t CellWriter::Names::row_of(const Values&... values) {
  key_.clear();
  (append(key_, values), ...);
  const auto known = rows_.find(key_);
  if (known != rows_.end()) return known->second;
  execute(insert_, values...);
  bind_all(select_, values...);
  select_.executeStep();
  const std::int64_t row = select_.getColumn(0).getInt64();
  select_.reset();
  rows_.emplace(key_, row);
  return row;
}

template <typename Insert>
std::int64_t CellWriter::Names::row_of_key(const std::string& key, const Insert& insert) {
  const auto known = rows_.find(key);
  if (known != rows_.end()) return known->second;
  insert(insert_);
  select_.bind(1, key);
  select_.executeStep();
  const std::int64_t row = select_.getColumn(0).getInt64();
  select_.reset();
  rows_.emplace(key, row);
  return row;
}

CellWriter::CellWriter(SQLite::Database& db)
    : db_(db),
      sources_(db,
               "INSERT OR IGNORE INTO sources (encoder, encoder_params, pretrain_dataset, noise, noise_ratio)"
               " VALUES (?, ?, ?, ?, ?)",
               "SELECT source_id FROM sources"
               " WHERE (encoder, encoder_params, pretrain_dataset, noise, noise_ratio) = (?, ?, ?, ?, ?)"),
      tuners_(db, "INSERT OR IGNORE INTO tuners (tuner, tuner_params) VALUES (?, ?)",
              "SELECT tuner_id FROM tuners WHERE (tuner, tuner_params) = (?, ?)"),
      test_sets_(db, "INSERT OR IGNORE INTO test_sets (task, test_set, test_kind) VALUES (?, ?, ?)",
                 "SELECT test_set_id FROM test_sets WHERE (task, test_set, test_kind) = (?, ?, ?)"),
      metric_names_(db, "INSERT OR IGNORE INTO metric_names (metric) VALUES (?)",
                    "SELECT metric_id FROM metric_names WHERE metric = ?"),
      sample_sets_(db,
                   "INSERT OR IGNORE INTO sample_sets (digest, samples, classes, encoding, labels)"
                   " VALUES (?, ?, ?, ?, ?)",
                   "SELECT sample_set FROM sample_sets WHERE digest = ?"),
      remove_id_(db, "DELETE FROM cells WHERE status = 'failed' AND cell_id = ?"),
      remove_coordinates_(db, "DELETE FROM cells WHERE status = 'failed' AND coordinates = ?"),
      done_(db, "SELECT 1 FROM cells WHERE cell_id = ? AND status = 'done'"),
      cell_(db, insert_cell_sql()),
      metric_(db, "INSERT INTO metrics (cell, test_set_id, metric_id, value) VALUES (?, ?, ?, ?)"),
      spectrum_(db,
                "INSERT INTO spectra (cell, test_set, space, center, samples, singular_values)"
                " VALUES (?, ?, ?, ?, ?, ?)"),
      confusion_(db, "INSERT INTO confusion (cell, test_set, classes, counts) VALUES (?, ?, ?, ?)"),
      curve_(db, "INSERT INTO curves (cell, loss) VALUES (?, ?)"),
      prediction_(db, "INSERT INTO predictions (cell, test_set, sample_set, encoding, packed) VALUES (?, ?, ?, ?, ?)"),
      probability_(db,
                   "INSERT INTO probabilities (cell, test_set, part, sample_set, encoding, packed)"
                   " VALUES (?, ?, ?, ?, ?, ?)"),
      candidate_(db,
                 "INSERT INTO candidates (cell, candidate, params, status, message, chosen, accuracy, loss)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)") {}

void CellWriter::write(std::int64_t run, const CellRecord& cell) {
  remove_failed(cell);
  if (is_done(cell)) return;
  const std::int64_t row = insert_cell(run, cell);
  insert_metrics(row, cell);
  insert_parts(row, cell);
}

void CellWriter::remove_failed(const CellRecord& cell) {
  execute(remove_id_, cell.cell_id);
  if (!cell.coordinates.empty()) execute(remove_coordinates_, cell.coordinates);
}

bool CellWriter::is_done(const CellRecord& cell) {
  done_.bind(1, cell.cell_id);
  const bool done = done_.executeStep();
  done_.reset();
  return done;
}

std::int64_t CellWriter::insert_cell(std::int64_t run, const CellRecord& cell) {
  const std::int64_t source = sources_.row_of(cell.encoder, cell.encoder_params, cell.pretrain_dataset, cell.noise,
                                              cell.noise_ratio.value_or(0));
  const std::int64_t tuner = tuners_.row_of(cell.tuner, cell.tuner_params);
  bind_all(cell_, run, source, tuner);
  int index = 3;
  for (const CellColumn& column : kCellColumns) {
    if (column.home != Home::cells) continue;
    visit_member(column, cell, [&](const auto& value) { bind_one(cell_, ++index, value); });
  }
  cell_.exec();
  cell_.reset();
  return db_.getLastInsertRowid();
}

void CellWriter::insert_metrics(std::int64_t row, const CellRecord& cell) {
  for (const MetricRow& metric : cell.metrics) {
    require_kind(cell, metric);
    if (find_metric(metric.metric) == nullptr) {
      throw Error(fmt::format("bug: the metric \"{}\" is not declared in records/metrics.h", metric.metric));
    }
    execute(metric_, row, test_sets_.row_of(cell.task, metric.test_set, metric.test_kind),
            metric_names_.row_of(metric.metric), metric.value);
  }
}

// Of `sample_sets`.
std::int64_t CellWriter::samples_of(const PredictionRow& answers) {
  return sample_sets_.row_of_key(answers.samples_digest, [&](SQLite::Statement& insert) {
    execute(insert, answers.samples_digest, answers.samples, answers.classes, std::string(kLabelEncoding),
            *answers.labels);
  });
}

void CellWriter::insert_parts(std::int64_t row, const CellRecord& cell) {
  for (const SpectrumRow& spectrum : cell.spectra) {
    execute(spectrum_, row, spectrum.test_set, spectrum.space, spectrum.center, spectrum.rows, spectrum.values);
  }
  for (const ConfusionRow& confusion : cell.confusion) {
    execute(confusion_, row, confusion.test_set, confusion.classes, counts_json(confusion));
  }
  if (!cell.loss_curve.empty()) execute(curve_, row, cell.loss_curve);
  for (const PredictionRow& prediction : cell.predictions) {
    execute(prediction_, row, prediction.test_set, samples_of(prediction), std::string(kPredictionEncoding),
            prediction.packed);
  }
  std::int64_t part = 0;  // of the held-out rows, in order
  for (const PredictionRow& given : cell.probabilities) {
    execute(probability_, row, given.test_set, given.test_set.empty() ? part++ : 0, samples_of(given),
            std::string(kProbabilityEncoding), given.packed);
  }
  for (const CandidateRow& candidate : cell.candidates) {
    execute(candidate_, row, candidate.candidate, candidate.params, candidate.status, candidate.message,
            candidate.chosen, candidate.accuracy, candidate.loss);
  }
}

}  // namespace nmlbench
