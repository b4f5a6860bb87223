#include "results/query/recorded.h"

#include "results/query/predictions.h"
#include "results/store/database.h"

#include <cstdlib>

#include <SQLiteCpp/Statement.h>

namespace nmlbench {

std::vector<RecordedCell> recorded_cells(const Store& store) {
  return with_database_errors(store.impl().file, [&] {
    SQLite::Statement statement(
        store.impl().db, "SELECT cell_id, run_id FROM cells WHERE status = 'done' AND NOT superseded ORDER BY 1");
    std::vector<RecordedCell> cells;
    while (statement.executeStep()) {
      cells.push_back({statement.getColumn(0).getString(), statement.getColumn(1).getInt64()});
    }
    return cells;
  });
}

RecordedRun recorded_run(const Store& store, std::int64_t run) {
  return with_database_errors(store.impl().file, [&] {
    SQLite::Statement statement(store.impl().db,
                                "SELECT matrix_source, matrix_json, cpu, gpu,"
                                " coalesce(iif(json_valid(versions_json), versions_json ->> '$.libtorch', ''), '')"
                                " FROM runs WHERE run_id = ?");
    statement.bind(1, run);
    statement.executeStep();
    const auto text = [&](int column) { return statement.getColumn(column).getString(); };
    return RecordedRun{text(0), text(1), text(2), text(3), text(4)};
  });
}

std::optional<RecordedRun> newest_run_of(const Store& store, const std::string& task) {
  const std::int64_t run = with_database_errors(store.impl().file, [&] {
    SQLite::Statement statement(store.impl().db,
                                "SELECT coalesce(max(run_id), 0) FROM cells JOIN runs USING (run_id)"
                                " WHERE task = ? AND status = 'done' AND NOT superseded AND matrix_source <> ''");
    statement.bind(1, task);
    statement.executeStep();
    return statement.getColumn(0).getInt64();
  });
  if (run == 0) return std::nullopt;
  return recorded_run(store, run);
}

std::map<MetricKey, std::optional<double>> recorded_metrics(const Store& store, const std::string& cell_id) {
  return with_database_errors(store.impl().file, [&] {
    SQLite::Statement statement(
        store.impl().db, "SELECT test_set, metric, value FROM v_results WHERE cell_id = ? AND metric IS NOT NULL");
    statement.bind(1, cell_id);
    std::map<MetricKey, std::optional<double>> metrics;
    while (statement.executeStep()) {
      std::optional<double>& value = metrics[{statement.getColumn(0).getString(), statement.getColumn(1).getString()}];
      if (!statement.getColumn(2).isNull()) value = statement.getColumn(2).getDouble();
    }
    return metrics;
  });
}

std::vector<CandidateRow> recorded_candidates(const Store& store, const std::string& cell_id) {
  return with_database_errors(store.impl().file, [&] {
    SQLite::Statement statement(store.impl().db,
                                "SELECT candidate, params, status, message, chosen, accuracy, loss FROM v_selection"
                                " WHERE cell_id = ? ORDER BY candidate");
    statement.bind(1, cell_id);
    const auto score = [&](int column) {
      const SQLite::Column value = statement.getColumn(column);
      return value.isNull() ? std::nullopt : std::optional(value.getDouble());
    };
    std::vector<CandidateRow> rows;
    while (statement.executeStep()) {
      rows.push_back({statement.getColumn(0).getInt64(), statement.getColumn(1).getString(),
                      statement.getColumn(2).getString(), statement.getColumn(3).getString(),
                      statement.getColumn(4).getInt() != 0, score(5), score(6)});
    }
    return rows;
  });
}

std::optional<std::int64_t> differing_predictions(const Store& store, const std::string& cell_id,
                                                  const PredictionRow& recomputed) {
  return with_database_errors(store.impl().file, [&]() -> std::optional<std::int64_t> {
    const std::optional<Answers> kept = PredictionReader(store).read(cell_id, recomputed.test_set);
    if (!kept) return std::nullopt;
    if (kept->samples->digest != recomputed.samples_digest) return recomputed.samples;
    const Predictions now = unpack_predictions(recomputed.packed, kept->samples->labels, recomputed.classes);
    std::int64_t differing = 0;
    for (std::size_t i = 0; i < now.predicted.size(); ++i) {
      const bool same = now.predicted[i] == kept->given.predicted[i] &&
                        std::abs(int{now.p_true[i]} - int{kept->given.p_true[i]}) <= 1;
      differing += same ? 0 : 1;
    }
    return differing;
  });
}

}  // namespace nmlbench
