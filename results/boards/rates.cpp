#include "results/boards/rates.h"

#include "results/store/database.h"

#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <SQLiteCpp/Statement.h>

namespace nmlbench {
namespace {

using Shape = std::pair<std::int64_t, std::int64_t>;  // D and C

// What the heads of one run, encoder and task were: singular values tell D, confusion matrices C.
struct TaskShape {
  std::string encoder, encoder_params, task;
  Shape shape;
};

std::map<std::int64_t, std::vector<TaskShape>> shapes_of_runs(const Store& store) {
  std::map<std::int64_t, std::vector<TaskShape>> shapes;
  SQLite::Statement statement(
      store.impl().db,
      "SELECT c.run_id, s.encoder, s.encoder_params, c.task,"
      // of fewer samples than features there are as many values as samples
      " (SELECT max(iif(length(singular_values) / 4 < samples, length(singular_values) / 4, 0)) FROM spectra"
      "  WHERE cell = c.cell AND space = 'raw'),"
      " (SELECT max(classes) FROM confusion WHERE cell = c.cell)"
      " FROM (SELECT min(cell) AS cell FROM cells WHERE status = 'done' GROUP BY run_id, source_id, task) first"
      " JOIN cells c USING (cell) JOIN sources s USING (source_id)");
  while (statement.executeStep()) {
    const auto text = [&](int i) { return statement.getColumn(i).getString(); };
    shapes[statement.getColumn(0).getInt64()].push_back(
        {text(1), text(2), text(3), {statement.getColumn(4).getInt64(), statement.getColumn(5).getInt64()}});
  }
  return shapes;
}

// All heads of a stack have one shape. A stage run that names no task, or no encoder, is of a stack with several.
Shape shape_of(const MeasuredRate& rate, const std::vector<TaskShape>& of_run) {
  std::map<Shape, std::pair<std::set<std::string>, std::set<std::string>>> candidates;  // their tasks and encoders
  for (const TaskShape& one : of_run) {
    const auto fits = [](const std::string& wanted, const std::string& has) { return wanted.empty() || wanted == has; };
    if (!fits(rate.task, one.task) || !fits(rate.encoder, one.encoder)) continue;
    if (!fits(rate.encoder_params, one.encoder_params)) continue;
    auto& [tasks, encoders] = candidates[one.shape];
    tasks.insert(one.task);
    encoders.insert(one.encoder + one.encoder_params);
  }
  std::erase_if(candidates, [&](const auto& candidate) {
    const auto& [tasks, encoders] = candidate.second;
    return (rate.task.empty() && tasks.size() < 2) || (rate.encoder_params.empty() && encoders.size() < 2);
  });
  return candidates.size() == 1 ? candidates.begin()->first : Shape{0, 0};
}

std::vector<MeasuredRate> rates_by(const Store& store, const char* sql) {
  const std::map<std::int64_t, std::vector<TaskShape>> shapes = shapes_of_runs(store);
  std::vector<MeasuredRate> rates;
  SQLite::Statement statement(store.impl().db, sql);
  while (statement.executeStep()) {
    const auto text = [&](int i) { return statement.getColumn(i).getString(); };
    MeasuredRate rate{text(1), text(2), text(3), text(4), text(5), text(6), text(7), text(8), text(9), text(10)};
    rate.threads = statement.getColumn(11).getInt();
    rate.machine = rate.device == "cpu" ? text(12) : text(13);
    rate.items = statement.getColumn(14).getDouble();
    rate.seconds = statement.getColumn(15).getDouble();
    rate.peak_bytes = statement.getColumn(16).getInt64();
    rate.runs = statement.getColumn(17).getInt64();
    const auto of_run = shapes.find(statement.getColumn(0).getInt64());
    if (!rate.tuner.empty() && of_run != shapes.end())
      std::tie(rate.dim, rate.classes) = shape_of(rate, of_run->second);
    rates.push_back(std::move(rate));
  }
  return rates;
}

constexpr const char* kStages =
    "SELECT s.run_id, s.stage, s.encoder, s.encoder_params, s.recipe, s.tuner, s.tuner_params, s.task, s.device,"
    " s.unit, coalesce(json_extract(r.matrix_json, '$.encode.precision'), ''), r.threads, r.cpu, r.gpu, sum(s.items),"
    " sum(s.seconds), max(s.peak_bytes), count(*) FROM stages s JOIN runs r USING (run_id)"
    " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 HAVING sum(s.seconds) > 0 AND sum(s.items) > 0";

// Of tuners without a stage run that counts steps.
constexpr const char* kHeads =
    "SELECT c.run_id, 'tune', z.encoder, z.encoder_params, '', t.tuner, t.tuner_params, c.task, c.device, 'heads', '',"
    " r.threads, r.cpu, r.gpu, count(*), sum(c.tune_seconds), 0, count(*)"
    " FROM cells c JOIN sources z USING (source_id) JOIN tuners t USING (tuner_id) JOIN runs r USING (run_id)"
    " WHERE c.status = 'done' AND c.tune_seconds IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM stages s WHERE s.run_id = c.run_id AND s.tuner = t.tuner AND s.stage = 'tune')"
    " GROUP BY 1, 3, 4, 6, 7, 8, 9 HAVING sum(c.tune_seconds) > 0";

}  // namespace

MeasuredRates query_rates(const Store& store) {
  return with_database_errors(store.impl().file, [&] {
    const SQLite::Database& db = store.impl().db;
    MeasuredRates found;
    found.rates = rates_by(store, kStages);
    for (MeasuredRate& rate : rates_by(store, kHeads)) found.rates.push_back(std::move(rate));
    found.cells = count_of(db, "SELECT count(*) FROM cells WHERE status = 'done'");
    found.test_sets = count_of(db, "SELECT count(*) FROM confusion");
    found.bytes = count_of(db, "PRAGMA page_count") * count_of(db, "PRAGMA page_size");
    return found;
  });
}

}  // namespace nmlbench
