#include "results/boards/missed_samples.h"

#include "results/query/predictions.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>

namespace nmlbench {

namespace {

struct TestedSet {
  std::string task, name, kind;
};

// Of the cell, whose tuner is put into `board`.
std::vector<TestedSet> tested_sets(const Store& store, MissedSamples& board) {
  SQLite::Statement statement(store.impl().db,
                              "SELECT DISTINCT test_set, test_kind, task, tuner FROM v_results WHERE cell_id = ?"
                              " AND test_set IS NOT NULL ORDER BY test_kind, test_set");
  statement.bind(1, board.cell_id);
  std::vector<TestedSet> sets;
  while (statement.executeStep()) {
    sets.push_back(
        {statement.getColumn(2).getString(), statement.getColumn(0).getString(), statement.getColumn(1).getString()});
    board.tuner = statement.getColumn(3).getString();
  }
  return sets;
}

void add_missed(const TestedSet& test, const Answers& answers, MissedSamples& board) {
  const std::size_t n = answers.samples->labels.size();
  board.samples += n;
  for (std::size_t i = 0; i < n; ++i) {
    if (answers.right(i)) continue;
    board.rows.push_back({test.task, test.name, test.kind, static_cast<std::int64_t>(i), answers.samples->labels[i],
                          answers.given.predicted[i], answers.given.p_true[i] / 255.0});
  }
}

}  // namespace

MissedSamples query_missed_samples(const Store& store, const std::string& cell_id, const std::string& kind,
                                   std::size_t limit) {
  return with_database_errors(store.impl().file, [&] {
    MissedSamples board;
    board.cell_id = cell_id;
    PredictionReader reader(store);
    bool any = false;
    for (const TestedSet& test : tested_sets(store, board)) {
      if (!kind.empty() && test.kind != kind) continue;
      const std::optional<Answers> answers = reader.read(cell_id, test.name);
      if (!answers) continue;
      any = true;
      add_missed(test, *answers, board);
    }
    if (!any) {
      throw Error(fmt::format("cell {} has no predictions{}: it failed, or was run with --no-predictions", cell_id,
                              kind.empty() ? "" : " on " + kind + " test sets"));
    }
    board.missed = board.rows.size();
    std::stable_sort(board.rows.begin(), board.rows.end(),
                     [](const MissedSample& a, const MissedSample& b) { return a.p_true < b.p_true; });
    if (board.rows.size() > limit) board.rows.resize(limit);
    return board;
  });
}

}  // namespace nmlbench
