// Tables out of the database, for other tools: CSV or JSON lines with typed columns.
//
// The formats carry over to Parquet as they are: one flat record for each row, a column has one type and the name it
// has in SQL, numbers read back to the same double, a missing value is empty (CSV) or null, times are ISO 8601 in UTC.
#pragma once

#include "results/store/store.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nmlbench {

enum class ExportFormat { csv, jsonl };

struct ExportQuery {
  std::string table = "results";  // see export_tables()
  ExportFormat format = ExportFormat::csv;
  std::vector<std::pair<std::string, std::string>> where = {};  // as the leaderboard's, of the table's columns
};

// results, cells, throughput, noise, selection, log, class_accuracy, confusion, curves, spectra, predictions.
std::vector<std::string> export_tables();

using Writer = std::function<void(std::string_view)>;
// Hands the text to `write` in pieces, rows in the order of the database; returns the number of rows. Throws Error:
// unknown table or column.
std::int64_t export_table(const Store& store, const ExportQuery& query, const Writer& write);

// {"cell_id": "string", "seed": "int64", "value": "float64", "created_at": "timestamp"}: the columns of a table in
// order, as JSON.
std::string export_schema(const std::string& table);

}  // namespace nmlbench
