#include "results/query/exporter.h"

#include "records/columns.h"
#include "results/query/filters.h"
#include "results/query/predictions.h"
#include "results/store/database.h"
#include "results/store/schema.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

using Type = ColumnType;

struct Column {
  std::string name;
  Type type;
};

struct Table {
  const char* name;
  const char* source;                // a view, or a query
  std::vector<Column> columns = {};  // empty: those that the view has
  // The last columns, so many, come out of what the query packs into `packed`: a row for each value.
  int unpacked = 0;
  const char* packed = "";
};

constexpr int kOfFloat = 2;        // position and value of each float of a BLOB
constexpr int kOfPrediction = 4;   // sample, label, predicted class, probability of the label
constexpr int kOfProbability = 5;  // sample, label, class, its probability, and that one's logarithm

// Of v_results or v_cells, in the order that the view has them.
std::vector<Column> cell_columns(const char* view) {
  SQLite::Database empty(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  for (const std::string& script : migrations()) empty.exec(script);
  SQLite::Statement names(empty, fmt::format("SELECT name FROM pragma_table_info('{}')", view));
  std::vector<Column> columns;
  while (names.executeStep()) {
    const std::string name = names.getColumn(0).getString();
    columns.push_back({name, find_column(name)->type});
  }
  return columns;
}

const std::vector<Table>& tables() {
  static const std::vector<Table> kTables{
      {"results", "v_results"},
      {"cells", "v_cells"},
      {"throughput",
       "v_throughput",
       {{"stage", Type::text},
        {"encoder", Type::text},
        {"tuner", Type::text},
        {"task", Type::text},
        {"device", Type::text},
        {"items", Type::real},
        {"unit", Type::text},
        {"seconds", Type::real},
        {"per_second", Type::real},
        {"peak_bytes", Type::integer},
        {"batch", Type::integer},
        {"encoder_params", Type::text},
        {"recipe", Type::text},
        {"tuner_params", Type::text},
        {"cache_bytes", Type::integer}}},
      {"noise",
       "v_noise",
       {{"encoder", Type::text},
        {"pretrain_dataset", Type::text},
        {"noise", Type::text},
        {"noise_ratio", Type::real},
        {"seed", Type::integer},
        {"realised_rate", Type::real},
        {"transition", Type::text},
        {"provenance", Type::text},
        {"validation", Type::text},
        {"upstream_samples", Type::real},
        {"upstream_accuracy", Type::real},
        {"checkpoint_id", Type::text},
        {"stage", Type::text},
        {"matrix", Type::text},
        {"task", Type::text},
        {"fraction", Type::real}}},
      {"selection",
       "v_selection",
       {{"cell_id", Type::text},
        {"candidate", Type::integer},
        {"params", Type::text},
        {"accuracy", Type::real},
        {"loss", Type::real},
        {"status", Type::text},
        {"message", Type::text},
        {"chosen", Type::integer}}},
      {"alignment",
       "v_alignment",
       {{"checkpoint_id", Type::text},
        {"twin_id", Type::text},
        {"encoder", Type::text},
        {"noise", Type::text},
        {"noise_ratio", Type::real},
        {"realised_rate", Type::real},
        {"seed", Type::integer},
        {"task", Type::text},
        {"test_set", Type::text},
        {"test_kind", Type::text},
        {"directions", Type::integer},
        {"samples", Type::integer},
        {"angle", Type::real}}},
      {"log",
       "v_log",
       {{"run", Type::text},
        {"ordinal", Type::integer},
        {"at", Type::timestamp},
        {"level", Type::text},
        {"message", Type::text}}},
      {"class_accuracy",
       "v_class_accuracy",
       {{"cell_id", Type::text},
        {"test_set", Type::text},
        {"label", Type::integer},
        {"samples", Type::integer},
        {"accuracy", Type::real}}},
      {"confusion",
       "v_confusion",
       {{"cell_id", Type::text},
        {"test_set", Type::text},
        {"label", Type::integer},
        {"predicted", Type::integer},
        {"samples", Type::integer}}},
      {"curves",
       "(SELECT cell_id, loss FROM curves JOIN cells USING (cell))",
       {{"cell_id", Type::text}, {"epoch", Type::integer}, {"loss", Type::real}},
       kOfFloat,
       "loss"},
      {"spectra",
       "(SELECT cell_id, test_set, space, center, samples, singular_values FROM spectra JOIN cells USING (cell))",
       {{"cell_id", Type::text},
        {"test_set", Type::text},
        {"space", Type::text},
        {"center", Type::text},
        {"samples", Type::integer},
        {"position", Type::integer},
        {"singular_value", Type::real}},
       kOfFloat,
       "singular_values"},
      {"predictions",
       "(SELECT v.*, w.*, (SELECT t.test_kind FROM metrics m JOIN test_sets t USING (test_set_id) WHERE m.cell = c.cell"
       " AND t.test_set = v.test_set LIMIT 1) AS test_kind FROM cells c JOIN v_predictions v ON v.cell_id = c.cell_id"
       " JOIN v_cells w ON w.cell_id = c.cell_id)",
       {{"cell_id", Type::text},
        {"matrix", Type::text},
        {"encoder", Type::text},
        {"noise", Type::text},
        {"noise_ratio", Type::real},
        {"realised_rate", Type::real},
        {"task", Type::text},
        {"fraction", Type::real},
        {"tuner", Type::text},
        {"tuner_params", Type::text},
        {"seed", Type::integer},
        {"test_set", Type::text},
        {"test_kind", Type::text},
        {"sample", Type::integer},
        {"label", Type::integer},
        {"predicted", Type::integer},
        {"p_true", Type::real}},
       kOfPrediction,
       kAnswerColumns},
      {"probabilities",
       "v_probabilities",
       {{"cell_id", Type::text},
        {"test_set", Type::text},
        {"part", Type::integer},
        {"sample", Type::integer},
        {"label", Type::integer},
        {"class", Type::integer},
        {"p", Type::real},
        {"log_p", Type::real}},
       kOfProbability,
       kProbabilityColumns},
  };
  return kTables;
}

Table table_named(const std::string& name) {
  const auto found = std::find_if(tables().begin(), tables().end(), [&](const Table& t) { return name == t.name; });
  if (found == tables().end())
    throw Error(fmt::format("no table \"{}\" to export; tables: {}", name, fmt::join(export_tables(), ", ")));
  Table table = *found;
  if (table.columns.empty()) table.columns = cell_columns(table.source);
  return table;
}

const char* type_name(Type type) {
  switch (type) {
    case Type::integer:
      return "int64";
    case Type::real:
      return "float64";
    case Type::timestamp:
      return "timestamp";
    case Type::text:
    case Type::json:
      break;
  }
  return "string";
}

// Columns that the query itself gives and that filters may name.
std::vector<std::string> filter_columns(const Table& table) {
  std::vector<std::string> names;
  for (const Column& column : table.columns) names.emplace_back(column.name);
  names.resize(names.size() - static_cast<std::size_t>(table.unpacked));
  return names;
}

// A float with few digits stays one: 0.1F is "0.1", not "0.10000000149011612".
std::string float_text(float value) {
  return std::isfinite(value) ? fmt::to_string(value) : "";
}

std::string quoted_csv(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string quoted_json(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Collects rows and passes them on in large pieces.
class RowWriter {
 public:
  RowWriter(const Table& table, ExportFormat format, const Writer& write)
      : json_(format == ExportFormat::jsonl), write_(write) {
    for (const Column& column : table.columns) names_.push_back(quoted_json(column.name));
    if (json_) return;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      buffer_ += i > 0 ? "," : "";
      buffer_ += table.columns[i].name;
    }
    buffer_ += '\n';
  }

  // `field`: printed form of a value, "" for a missing one.
  void number(const std::string& field) { add(field.empty() && json_ ? "null" : field); }
  void text(std::string_view field) { add(json_ ? quoted_json(field) : quoted_csv(field)); }
  void missing() { number(""); }
  void end_row() {
    buffer_ += json_ ? "}\n" : "\n";
    column_ = 0;
    ++rows_;
    if (buffer_.size() > std::size_t{1} << 16U) flush();
  }
  void flush() {
    write_(buffer_);
    buffer_.clear();
  }
  std::int64_t rows() const { return rows_; }

 private:
  void add(std::string_view field) {
    if (json_) {
      fmt::format_to(std::back_inserter(buffer_), "{}{}: {}", column_ == 0 ? "{" : ", ", names_[column_], field);
    } else {
      if (column_ > 0) buffer_ += ',';
      buffer_ += field;
    }
    ++column_;
  }

  bool json_;
  const Writer& write_;
  std::vector<std::string> names_;
  std::string buffer_;
  std::size_t column_ = 0;
  std::int64_t rows_ = 0;
};

void write_value(RowWriter& writer, const SQLite::Column& value, Type type) {
  if (value.isNull()) return writer.missing();
  switch (type) {
    case Type::integer:
      return writer.number(fmt::to_string(value.getInt64()));
    case Type::real:
      return writer.number(std::isfinite(value.getDouble()) ? fmt::to_string(value.getDouble()) : "");
    case Type::text:
    case Type::json:
    case Type::timestamp:
      return writer.text({value.getText(), static_cast<std::size_t>(value.getBytes())});
  }
}

// Writes rows of a query whose last columns are packed.
class Unpacker {
 public:
  Unpacker(RowWriter& writer, SQLite::Statement& statement, const Table& table)
      : writer_(writer), statement_(statement), table_(table), fixed_(table.columns.size()) {
    fixed_ -= static_cast<std::size_t>(table.unpacked);
  }

  void write() {
    if (table_.unpacked == 0) {
      begin_row();
      writer_.end_row();
    } else if (table_.unpacked == kOfFloat) {
      write_floats();
    } else if (table_.unpacked == kOfPrediction) {
      write_predictions();
    } else {
      write_probabilities();
    }
  }

 private:
  void begin_row() {
    for (std::size_t i = 0; i < fixed_; ++i) {
      write_value(writer_, statement_.getColumn(static_cast<int>(i)), table_.columns[i].type);
    }
  }

  void write_floats() {
    const SQLite::Column blob = statement_.getColumn(static_cast<int>(fixed_));
    std::vector<float> values(static_cast<std::size_t>(blob.getBytes()) / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), blob.getBlob(), values.size() * sizeof(float));
    for (std::size_t i = 0; i < values.size(); ++i) {
      begin_row();
      writer_.number(fmt::to_string(i + 1));
      writer_.number(float_text(values[i]));
      writer_.end_row();
    }
  }

  void write_predictions() {
    const Answers answers = answers_of(statement_, static_cast<int>(fixed_), sample_sets_);
    for (std::size_t i = 0; i < answers.samples->labels.size(); ++i) {
      begin_row();
      writer_.number(fmt::to_string(i));
      writer_.number(fmt::to_string(answers.samples->labels[i]));
      writer_.number(fmt::to_string(answers.given.predicted[i]));
      writer_.number(fmt::format("{:.4f}", answers.given.p_true[i] / 255.0));
      writer_.end_row();
    }
  }

  void write_probabilities() {
    const ClassProbabilities given = probabilities_of(statement_, static_cast<int>(fixed_), sample_sets_);
    const auto classes = static_cast<std::size_t>(given.samples->classes);
    for (std::size_t i = 0; i < given.log_p.size(); ++i) {
      begin_row();
      writer_.number(fmt::to_string(i / classes));
      writer_.number(fmt::to_string(given.samples->labels[i / classes]));
      writer_.number(fmt::to_string(i % classes));
      writer_.number(fmt::format("{:.4g}", std::exp(given.log_p[i])));
      writer_.number(float_text(given.log_p[i]));
      writer_.end_row();
    }
  }

  RowWriter& writer_;
  SQLite::Statement& statement_;
  const Table& table_;
  std::size_t fixed_;  // columns that the query itself gives
  std::unordered_map<std::string, std::shared_ptr<const SampleSet>> sample_sets_;
};

std::int64_t write_rows(const Store& store, const ExportQuery& query, const Table& table, const Writer& write) {
  std::vector<std::string> selected = filter_columns(table);
  const std::string where = where_clause(query.where, selected);
  if (table.unpacked > 0) selected.emplace_back(table.packed);
  SQLite::Statement statement(store.impl().db,
                              fmt::format("SELECT {} FROM {}{}", fmt::join(selected, ", "), table.source, where));
  bind_filters(statement, query.where);
  RowWriter writer(table, query.format, write);
  Unpacker unpacker(writer, statement, table);
  while (statement.executeStep()) unpacker.write();
  writer.flush();
  return writer.rows();
}

}  // namespace

std::vector<std::string> export_tables() {
  std::vector<std::string> names;
  for (const Table& table : tables()) names.emplace_back(table.name);
  return names;
}

std::int64_t export_table(const Store& store, const ExportQuery& query, const Writer& write) {
  const Table table = table_named(query.table);
  return with_database_errors(store.impl().file, [&] { return write_rows(store, query, table, write); });
}

std::string export_schema(const std::string& table) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const Table described = table_named(table);
  for (const Column& column : described.columns) json[column.name] = type_name(column.type);
  return json.dump(2) + "\n";
}

}  // namespace nmlbench
