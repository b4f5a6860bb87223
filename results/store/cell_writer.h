// Writes cells fast: statements are prepared once, and names that come back with every cell (tuner, test set, metric)
// are looked up once. Internal to results/: Store wraps it in transactions.
#pragma once

#include "records/records.h"

#include <cstdint>
#include <string>
#include <unordered_map>

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

namespace nmlbench {

class CellWriter {
 public:
  explicit CellWriter(SQLite::Database& db);

  // Within a transaction of the caller's. What it remembers holds only as long as that is not rolled back.
  void write(std::int64_t run, const CellRecord& cell);

 private:
  // A table of names: the row number of each is asked for once.
  class Names {
   public:
    Names(SQLite::Database& db, const char* insert, const char* select) : insert_(db, insert), select_(db, select) {}
    template <typename... Values>
    std::int64_t row_of(const Values&... values);
    // Of what is known by `key` alone; insert(statement) writes all of it.
    template <typename Insert>
    std::int64_t row_of_key(const std::string& key, const Insert& insert);

   private:
    SQLite::Statement insert_, select_;
    std::unordered_map<std::string, std::int64_t> rows_;
    std::string key_;  // kept: its memory is reused
  };

  void remove_failed(const CellRecord& cell);
  bool is_done(const CellRecord& cell);
  std::int64_t insert_cell(std::int64_t run, const CellRecord& cell);
  void insert_metrics(std::int64_t row, const CellRecord& cell);
  std::int64_t samples_of(const PredictionRow& answers);
  void insert_parts(std::int64_t row, const CellRecord& cell);

  SQLite::Database& db_;
  Names sources_, tuners_, test_sets_, metric_names_, sample_sets_;
  SQLite::Statement remove_id_, remove_coordinates_, done_, cell_, metric_, spectrum_, confusion_, curve_, prediction_,
      probability_, candidate_;
};

}  // namespace nmlbench
