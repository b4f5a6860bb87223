#include "results/boards/comparison.h"

#include "results/boards/measurement_facts.h"
#include "results/boards/scores.h"
#include "results/boards/selection.h"
#include "results/query/grouping.h"
#include "results/query/oracle.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <unordered_map>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// What identifies a cell, from the strictest to the loosest.
using Identity = std::array<std::string, 3>;

struct Cells {
  Observations data;
  std::unordered_map<std::string, Identity> identities;  // by cell_id
};

bool knows(const Store& store, const CellColumn& column) {
  const std::string sql = fmt::format("SELECT EXISTS (SELECT 1 FROM cells WHERE {} <> '')", column.name);
  return count_of(store.impl().db, sql.c_str()) != 0;
}

// Columns that an older program did not write tell nothing when one of the databases is of its time.
std::vector<std::string_view> identity_columns(const Store& a, const Store& b) {
  std::vector<std::string_view> names;
  for (const CellColumn& column : kCellColumns) {
    const bool always = column.since <= kScriptedVersions;
    if (column.identity && (always || (knows(a, column) && knows(b, column)))) names.push_back(column.name);
  }
  return names;
}

// The same question to one database.
LeaderboardQuery selection_of(const CompareQuery& query) {
  LeaderboardQuery selection{
      .group_by = query.group_by, .where = query.where, .metric = query.metric, .kind = query.kind};
  selection.superseded = query.superseded;
  selection.inference = query.inference;
  return selection;
}

Cells load(const Store& store, const CompareQuery& query, const std::vector<std::string_view>& identity) {
  return with_database_errors(store.impl().file, [&] {
    LeaderboardQuery selection = selection_of(query);
    selection.group_by.push_back("cell_id");  // so that the names of cells are read
    Cells cells{select_observations(store, selection), {}};
    SQLite::Statement statement(
        store.impl().db,
        fmt::format("SELECT cell_id, coordinates, json_array(matrix, {}) FROM v_cells", fmt::join(identity, ", ")));
    while (statement.executeStep()) {
      const std::string id = statement.getColumn(0).getString();
      cells.identities[id] = {id, statement.getColumn(1).getString(), statement.getColumn(2).getString()};
    }
    return cells;
  });
}

// Indices of cells by one identity; those that share it with another are left out.
std::unordered_map<std::string, std::uint32_t> unambiguous(const Cells& cells, const std::vector<std::uint32_t>& open,
                                                           std::size_t level) {
  std::unordered_map<std::string, std::vector<std::uint32_t>> all;
  for (const std::uint32_t cell : open) {
    const std::string& id = cells.data.text({cell, Observation::kNoTestSet, 0.0}, Field::cell_id);
    const std::string& identity = cells.identities.at(id)[level];
    if (!identity.empty()) all[identity].push_back(cell);
  }
  std::unordered_map<std::string, std::uint32_t> result;
  for (const auto& [identity, members] : all) {
    if (members.size() == 1) result.emplace(identity, members.front());
  }
  return result;
}

std::vector<std::uint32_t> cells_of(const Observations& data) {
  std::vector<std::uint32_t> cells;
  for (const auto* rows : {&data.rows, &data.failed}) {
    for (const Observation& row : *rows) {
      if (cells.empty() || cells.back() != row.cell) cells.push_back(row.cell);
    }
  }
  return cells;
}

struct Pairing {
  std::unordered_map<std::uint32_t, std::uint32_t> b_of_a;  // Observations::cells
  std::vector<std::uint32_t> only_a, only_b;
  std::array<std::size_t, 3> by_level{};
};

Pairing pair_cells(const Cells& a, const Cells& b) {
  Pairing pairing;
  pairing.only_a = cells_of(a.data);
  pairing.only_b = cells_of(b.data);
  for (std::size_t level = 0; level < pairing.by_level.size(); ++level) {
    const auto of_a = unambiguous(a, pairing.only_a, level), of_b = unambiguous(b, pairing.only_b, level);
    std::unordered_map<std::uint32_t, std::uint32_t> a_of_b;
    for (const auto& [identity, cell] : of_a) {
      const auto other = of_b.find(identity);
      if (other == of_b.end()) continue;
      pairing.b_of_a.emplace(cell, other->second);
      a_of_b.emplace(other->second, cell);
    }
    pairing.by_level[level] = a_of_b.size();
    std::erase_if(pairing.only_a, [&](std::uint32_t cell) { return pairing.b_of_a.count(cell) > 0; });
    std::erase_if(pairing.only_b, [&](std::uint32_t cell) { return a_of_b.count(cell) > 0; });
  }
  return pairing;
}

std::vector<bool> failed_cells(const Observations& data) {
  std::vector<bool> failed(data.cells.size());
  for (const Observation& row : data.failed) failed[row.cell] = true;
  return failed;
}

// The rows of A that B has as well, with B's value, in A's numbering.
std::vector<Observation> matching_rows(const Observations& a, const Observations& b, const Pairing& pairing) {
  using Key = std::pair<std::uint32_t, std::pair<std::string, std::string>>;
  std::map<Key, double> values;
  for (const Observation& row : b.rows) {
    values[{row.cell, {b.text(row, Field::test_set), b.text(row, Field::test_kind)}}] = row.value;
  }
  std::vector<Observation> rows;
  for (const Observation& row : a.rows) {
    const auto other = pairing.b_of_a.find(row.cell);
    if (other == pairing.b_of_a.end()) continue;
    const auto value = values.find({other->second, {a.text(row, Field::test_set), a.text(row, Field::test_kind)}});
    if (value != values.end()) rows.push_back({row.cell, row.test_set, value->second});
  }
  return rows;
}

// Means over test sets, by cell.
std::map<std::uint32_t, double> cell_means(const std::vector<Observation>& rows) {
  std::map<std::uint32_t, std::pair<double, double>> sums;
  for (const Observation& row : rows) {
    sums[row.cell].first += row.value;
    sums[row.cell].second += 1.0;
  }
  std::map<std::uint32_t, double> means;
  for (const auto& [cell, sum] : sums) means.emplace(cell, sum.first / sum.second);
  return means;
}

class Comparer {
 public:
  Comparer(const CompareQuery& query, const Observations& a, const std::vector<Observation>& after)
      : query_(query), data_(a), after_(cell_means(after)) {
    // B minus A on the rows of both, as observations: grouping and averaging work as for any others.
    std::map<std::pair<std::uint32_t, std::uint32_t>, double> values;
    for (const Observation& row : after) values[{row.cell, row.test_set}] = row.value;
    std::vector<Observation> before;
    for (const Observation& row : a.rows) {
      const auto other = values.find({row.cell, row.test_set});
      if (other == values.end()) continue;
      before.push_back(row);
      differences_.push_back({row.cell, row.test_set, other->second - row.value});
    }
    before_ = cell_means(before);
    data_.rows = differences_;
    data_.failed.clear();
  }

  void run(Comparison& result) {
    // Differences of the same cells: a column that is asked for may pool what scores must not.
    const std::vector<Field> asked = fields_named(data_, query_.group_by);
    const Grouping grouping = group_rows(data_, asked.empty() ? default_grouping(data_) : asked);
    for (const Field field : grouping.fields) result.group_by.emplace_back(data_.name(field));
    for (const Field field : pooled_by(data_, grouping.fields)) result.pooled.emplace_back(data_.name(field));
    const Labels labels(data_, grouping.fields);
    for (const Group& group : grouping.groups) {
      ComparedGroup& compared = result.groups.emplace_back(compare(group.done));
      compared.key = labels.key(group.example, grouping.fields);
    }
    std::sort(result.groups.begin(), result.groups.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    result.overall = compare(differences_);
    judge(result);
    list_changes(result, grouping.fields, labels);
  }

 private:
  double sign() const { return better(query_.metric) == Better::lower ? -1.0 : 1.0; }

  ComparedGroup compare(const std::vector<Observation>& rows) const {
    ComparedGroup group;
    std::vector<double> before, after;
    for (const auto& [cell, difference] : cell_means(rows)) {
      before.push_back(before_.at(cell));
      after.push_back(after_.at(cell));
      const double gain = sign() * difference;
      ++(gain > query_.tolerance ? group.improved : gain < -query_.tolerance ? group.worse : group.unchanged);
    }
    group.before = mean(before);
    group.after = mean(after);
    TaskSeedMeans pairs;
    std::map<TaskSeed, double> counts;
    for (const Observation& row : rows) {
      const TaskSeed where{data_.id(row, Field::task), data_.id(row, Field::seed)};
      pairs[where] += row.value;
      counts[where] += 1.0;
    }
    for (auto& [where, value] : pairs) {
      value /= counts[where];
      if (std::abs(value) <= query_.tolerance) value = 0.0;
    }
    group.difference = *difference_of(pairs, query_.inference);
    return group;
  }

  Verdict verdict_of(const ComparedGroup& group) const {
    if (group.improved + group.worse == 0) return Verdict::unchanged;
    const auto& p = group.difference.p_holm;
    if (!p || *p >= query_.alpha) return Verdict::not_significant;
    return sign() * group.difference.mean > 0.0 ? Verdict::improved : Verdict::worse;
  }

  // The groups are one family of tests; the test over everything stands by itself.
  void judge(Comparison& result) const {
    std::vector<Difference*> family;
    std::size_t most = 0;
    for (ComparedGroup& group : result.groups) family.push_back(&group.difference);
    correct(family);
    result.overall.difference.p_holm = result.overall.difference.p;
    const auto finish = [&](ComparedGroup& group) {
      const Difference& difference = group.difference;
      most = std::max(most, query_.inference.unit == SamplingUnit::task ? difference.tasks : difference.seeds);
      group.verdict = verdict_of(group);
      group.dropped_too_far = query_.max_drop && sign() * difference.mean < -*query_.max_drop;
    };
    finish(result.overall);
    for (ComparedGroup& group : result.groups) finish(group);
    refuse_small_bootstrap(query_.inference, most);
  }

  void list_changes(Comparison& result, const std::vector<Field>& fields, const Labels& labels) const {
    for (const auto& [cell, difference] : cell_means(differences_)) {
      if (std::abs(difference) <= query_.tolerance) continue;
      const Observation row{cell, Observation::kNoTestSet, 0.0};
      ChangedCell& change = result.changes.emplace_back();
      change.before_id = data_.text(row, Field::cell_id);
      for (const Field field : fields) change.labels.push_back(labels(row, field));
      change.task = data_.text(row, Field::task);
      change.seed = data_.text(row, Field::seed);
      change.before = before_.at(cell);
      change.after = after_.at(cell);
    }
    std::stable_sort(result.changes.begin(), result.changes.end(), [](const auto& a, const auto& b) {
      return std::abs(a.after - a.before) > std::abs(b.after - b.before);
    });
  }

  const CompareQuery& query_;
  Observations data_;  // of A; the values are differences
  std::vector<Observation> differences_;
  std::map<std::uint32_t, double> before_, after_;  // by cell of A
};

void count_statuses(Comparison& result, const Cells& a, const Cells& b, const Pairing& pairing) {
  const std::vector<bool> failed_a = failed_cells(a.data), failed_b = failed_cells(b.data);
  for (const auto& [cell, other] : pairing.b_of_a) {
    result.newly_failed += !failed_a[cell] && failed_b[other] ? 1 : 0;
    result.newly_done += failed_a[cell] && !failed_b[other] ? 1 : 0;
  }
  result.only_in_a = pairing.only_a.size();
  result.only_in_b = pairing.only_b.size();
  result.same_id = pairing.by_level[0];
  result.same_coordinates = pairing.by_level[1];
  result.same_description = pairing.by_level[2];
}

}  // namespace

const char* verdict_name(Verdict verdict, Better direction) {
  switch (verdict) {
    case Verdict::improved:
      return direction == Better::neither ? "higher" : "improved";
    case Verdict::worse:
      return direction == Better::neither ? "lower" : "worse";
    case Verdict::unchanged:
      return "unchanged";
    case Verdict::not_significant:
      break;
  }
  return "not significant";
}

bool Comparison::has_regression() const {
  const auto regressed = [this](const ComparedGroup& group) {
    return better != Better::neither && (group.verdict == Verdict::worse || group.dropped_too_far);
  };
  return newly_failed > 0 || regressed(overall) || std::any_of(groups.begin(), groups.end(), regressed);
}

Comparison compare_results(const Store& a, const Store& b, const CompareQuery& query) {
  check_inference(query.inference);
  if (query.max_drop && better(query.metric) == Better::neither) {
    throw Error(fmt::format("--max-drop: {} has no direction, none is better, so that a drop is no loss; leave it out",
                            query.metric));
  }
  const std::vector<std::string_view> identity = identity_columns(a, b);
  const Cells before = load(a, query, identity), after = load(b, query, identity);
  const Pairing pairing = pair_cells(before, after);
  Comparison result;
  result.a = a.impl().file;
  result.b = b.impl().file;
  BoardFacts of_b;
  with_database_errors(result.a, [&] { describe(result, a, selection_of(query)); });
  with_database_errors(result.b, [&] { describe(of_b, b, selection_of(query)); });
  std::vector<std::string> superseded;
  if (!result.superseded.empty()) superseded.push_back("In A: " + result.superseded);
  if (!of_b.superseded.empty()) superseded.push_back("In B: " + of_b.superseded);
  result.superseded = fmt::format("{}", fmt::join(superseded, " "));
  result.chosen_on_test = oracle_note(before.data);
  if (result.chosen_on_test.empty()) result.chosen_on_test = oracle_note(after.data);
  count_statuses(result, before, after, pairing);
  if (pairing.b_of_a.empty()) {
    throw Error(fmt::format("{} and {} have no cell in common; compare two runs of one matrix", result.a.string(),
                            result.b.string()));
  }
  const std::vector<Observation> rows = matching_rows(before.data, after.data, pairing);
  if (rows.empty()) return result;  // all that both have failed on one side
  Comparer(query, before.data, rows).run(result);
  const auto name = [](const Cells& cells, std::uint32_t cell) {
    return cells.data.text({cell, Observation::kNoTestSet, 0.0}, Field::cell_id);
  };
  std::unordered_map<std::string, std::string> after_ids;
  for (const auto& [cell, other] : pairing.b_of_a) after_ids[name(before, cell)] = name(after, other);
  for (ChangedCell& change : result.changes) change.after_id = after_ids.at(change.before_id);
  result.improved = result.overall.improved;
  result.worse = result.overall.worse;
  result.unchanged = result.overall.unchanged;
  return result;
}

}  // namespace nmlbench
