#include "results/boards/diagnostics.h"

#include "results/boards/baseline.h"
#include "results/boards/selection.h"
#include "results/query/grouping.h"
#include "results/store/database.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <utility>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// Of the encoder's features; in-domain or not, they are measured on every test set.
constexpr const char* kOfFeatures[] = {"sve_raw",      "lsvr_raw",    "alpha_raw", "effective_rank_raw",
                                       "skewness_raw", "kurtosis_raw"};

// What tells the checkpoints of one matrix apart, as far as columns of cells say.
const std::vector<Field>& checkpoint_fields() {
  static const std::vector<Field> kFields = {Field::matrix,
                                             Field::encoder,
                                             Field::encoder_params,
                                             Field::pretrain_dataset,
                                             field("pretrain_params"),
                                             field("recipe"),
                                             Field::noise,
                                             Field::noise_ratio,
                                             Field::seed};
  return kFields;
}

std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, "\x1f"));
}

// The ids of checkpoints by their columns. One checkpoint may stand under several seeds, those of its heads.
std::map<std::string, std::string> checkpoint_ids(const Store& store) {
  std::vector<std::string_view> names;
  for (const Field field : checkpoint_fields()) names.push_back(field.column().name);
  SQLite::Statement statement(store.impl().db,
                              fmt::format("SELECT DISTINCT checkpoint_id, {} FROM v_cells", fmt::join(names, ", ")));
  std::map<std::string, std::string> ids;
  while (statement.executeStep()) {
    std::vector<std::string> key;
    for (int i = 1; i < statement.getColumnCount(); ++i) {
      const SQLite::Column column = statement.getColumn(i);
      key.push_back(column.isFloat() ? fmt::format("{}", column.getDouble()) : column.getString());
    }
    ids[joined(key)] = statement.getColumn(0).getString();
  }
  return ids;
}

struct Change {
  double sum = 0.0, count = 0.0;
  std::string twin;  // id of the clean checkpoint
  double mean() const { return sum / count; }
};
using Changes = std::map<std::string, Change>;  // by the noisy checkpoint's id

// How much higher the metric is on OOD test sets than under the clean twin: the mean over all pairs of measurements
// that agree in everything but the noise of pre-training.
Changes changes_of(const Store& store, const std::string& metric, const std::map<std::string, std::string>& ids) {
  Changes changes;
  // one that is null everywhere, as of spectra that are too short, says nothing of the others
  SQLite::Statement known(store.impl().db,
                          "SELECT EXISTS (SELECT 1 FROM metrics m JOIN metric_names n USING (metric_id) JOIN cells c"
                          " USING (cell) WHERE n.metric = ? AND m.value IS NOT NULL AND NOT c.superseded)");
  known.bind(1, metric);
  known.executeStep();
  if (known.getColumn(0).getInt() == 0) return changes;
  const Observations data = select_observations(store, {.metric = metric});
  const std::vector<std::string> ratios = data.distinct(Field::noise_ratio);
  if (data.rows.empty() || std::find(ratios.begin(), ratios.end(), "0") == ratios.end()) return changes;
  const Grouping grouping = group_rows(data, checkpoint_fields());
  Baseline clean(data, grouping.fields, "noise_ratio=0");
  const auto id_of = [&](const Observation& row) {
    std::vector<std::string> key;
    for (const Field field : checkpoint_fields()) key.push_back(data.text(row, field));
    return ids.at(joined(key));
  };
  for (const Group& group : grouping.groups) {
    if (group.done.empty() || clean.is_baseline(group)) continue;
    for (const auto& [row, baseline] : clean.pairs(group, "ood")) {
      Change& change = changes[id_of(row)];
      change.sum += row.value - baseline.value;
      change.count += 1.0;
      change.twin = id_of(baseline);
    }
  }
  return changes;
}

Changes angles(const Store& store) {
  Changes changes;
  SQLite::Statement statement(store.impl().db,
                              "SELECT checkpoint_id, angle, twin_id FROM alignments"
                              " WHERE test_kind = 'ood'");
  while (statement.executeStep()) {
    Change& change = changes[statement.getColumn(0).getString()];
    change.sum += statement.getColumn(1).getDouble();
    change.count += 1.0;
    change.twin = statement.getColumn(2).getString();
  }
  return changes;
}

DiagnosticBoard build_diagnostics(const Store& store) {
  const std::map<std::string, std::string> ids = checkpoint_ids(store);
  const Changes accuracy = changes_of(store, "accuracy", ids);
  std::map<std::string, std::size_t> twins;  // numbered
  for (const auto& [checkpoint, change] : accuracy) twins.emplace(change.twin, twins.size());
  DiagnosticBoard board;
  board.checkpoints = accuracy.size();
  board.twins = twins.size();
  const auto add = [&](const char* diagnostic, const Changes& changes) {
    std::vector<ClusteredPoint> points;
    for (const auto& [checkpoint, change] : changes) {
      const auto own = accuracy.find(checkpoint);
      if (own != accuracy.end()) points.push_back({change.mean(), -own->second.mean(), twins.at(own->second.twin)});
    }
    const auto correlation = rank_correlation(points);
    if (correlation) board.rows.push_back({diagnostic, *correlation});
    return points.size();
  };
  for (const char* metric : kOfFeatures) add(metric, changes_of(store, metric, ids));
  board.without_angle = board.checkpoints - add(kPrincipalAngle, angles(store));
  std::stable_sort(board.rows.begin(), board.rows.end(), [](const DiagnosticRow& a, const DiagnosticRow& b) {
    return std::abs(a.correlation.value) > std::abs(b.correlation.value);
  });
  return board;
}

}  // namespace

DiagnosticBoard query_diagnostics(const Store& store) {
  return with_database_errors(store.impl().file, [&] { return build_diagnostics(store); });
}

}  // namespace nmlbench
