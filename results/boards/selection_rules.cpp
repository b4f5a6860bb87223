#include "results/boards/selection_rules.h"

#include "records/best_candidate.h"
#include "results/boards/measurement_facts.h"
#include "results/boards/scores.h"
#include "results/boards/selection.h"
#include "results/query/grouping.h"
#include "results/query/oracle.h"
#include "results/query/recorded.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

constexpr Field kSelection = field("selection");
constexpr double kSameNumber = 1e-6;  // of the larger, or of 1, as merging has it

using Tests = std::vector<Observation>;  // of one cell, with the value of each

// All that tells a measurement from others but how its tuner got its parameters.
std::vector<Field> measurement_fields() {
  std::vector<Field> fields = {Field::test_set, Field::test_kind};
  for (std::size_t i = 0; i < kFieldCount; ++i) {
    const Field field(i);
    const bool is_setting = field == Field::matrix || field == Field::tuner_params || field == kSelection;
    if (field.column().identity && !is_setting) fields.push_back(field);
  }
  return fields;
}

nlohmann::json object_of(const std::string& text) {
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

bool is_same(double a, double b) {
  return std::abs(a - b) <= kSameNumber * std::max({1.0, std::abs(a), std::abs(b)});
}

// One metric of all cells, and which of those without [selection] has which parameters.
class Measured {
 public:
  Measured(const Store& store, const LeaderboardQuery& query)
      : data_(select_observations(store, query)), index_(data_, measurement_fields()) {
    for (const Observation& row : data_.rows) {
      tests_[data_.text(row, Field::cell_id)].push_back(row);
      if (!data_.text(row, kSelection).empty()) continue;
      const auto [known, is_new] = values_.try_emplace(
          {data_.text(row, Field::matrix), index_(row), object_of(data_.text(row, Field::tuner_params)).dump()},
          row.value);
      // of other data, of which --all shows both
      if (!is_new && !is_same(known->second, row.value)) known->second = std::numeric_limits<double>::quiet_NaN();
    }
  }
  const Observations& data() const { return data_; }
  Tests of_cell(const std::string& cell_id) const {
    const auto found = tests_.find(cell_id);
    return found == tests_.end() ? Tests() : found->second;
  }
  // The rows of a cell with the values of one of `matrix` that has these parameters; nothing where a row is not
  // measured.
  std::optional<Tests> with_params(const std::string& cell_id, const std::string& matrix, const std::string& params) {
    Tests tests = of_cell(cell_id);
    for (Observation& row : tests) {
      const auto found = values_.find({matrix, index_(row), params});
      if (found == values_.end() || std::isnan(found->second)) return std::nullopt;
      row.value = found->second;
    }
    return tests.empty() ? std::nullopt : std::optional(tests);
  }

 private:
  Observations data_;
  KeyIndex index_;
  std::map<std::string, Tests> tests_;
  std::map<std::tuple<std::string, std::uint32_t, std::string>, double> values_;
};

bool agree(const Tests& a, const Tests& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Observation& one, const Observation& other) { return is_same(one.value, other.value); });
}

// A cell, its candidates, and what is measured of each.
struct ChosenCell {
  std::vector<CandidateRow> candidates;
  std::size_t chosen = 0;  // by the run
  std::vector<std::optional<Tests>> tests;
  bool of_other_data = false;
};

std::vector<std::string> params_of_candidates(const std::string& grid, const std::vector<CandidateRow>& candidates) {
  std::vector<std::string> all;
  for (const CandidateRow& candidate : candidates) {
    nlohmann::json params = object_of(grid);
    params.update(object_of(candidate.params));
    all.push_back(params.dump());
  }
  return all;
}

// `shown`: the metric of the board. The loss tells whether a matrix has the same heads on the same samples: few others
// have the loss of the chosen one.
ChosenCell chosen_cell(const Store& store, Measured& shown, Measured& losses, const Observation& example) {
  const std::string& id = shown.data().text(example, Field::cell_id);
  ChosenCell cell;
  cell.candidates = recorded_candidates(store, id);
  cell.tests.resize(cell.candidates.size());
  const std::vector<std::string> params =
      params_of_candidates(shown.data().text(example, Field::tuner_params), cell.candidates);
  cell.chosen = static_cast<std::size_t>(
      std::find_if(cell.candidates.begin(), cell.candidates.end(), [](const auto& row) { return row.chosen; }) -
      cell.candidates.begin());
  for (const std::string& matrix : shown.data().distinct(Field::matrix)) {
    const std::optional<Tests> again = losses.with_params(id, matrix, params.at(cell.chosen));
    if (!again) continue;
    cell.of_other_data = !agree(losses.of_cell(id), *again);
    if (cell.of_other_data) continue;
    for (std::size_t i = 0; i < params.size(); ++i) cell.tests[i] = shown.with_params(id, matrix, params[i]);
    break;
  }
  cell.tests.at(cell.chosen) = shown.of_cell(id);
  return cell;
}

// Nothing where the rule lacks the scores that it goes by.
using RuleFunction = std::optional<std::size_t> (*)(const Observations&, const ChosenCell&, bool higher);

std::optional<std::size_t> as_run(const Observations&, const ChosenCell& cell, bool) {
  return cell.chosen;
}

std::optional<std::size_t> by_accuracy(const Observations&, const ChosenCell& cell, bool) {
  return best_candidate(cell.candidates, /*by_loss=*/false);
}

std::optional<std::size_t> by_loss(const Observations&, const ChosenCell& cell, bool) {
  return best_candidate(cell.candidates, /*by_loss=*/true);
}

std::optional<std::size_t> last_written(const Observations&, const ChosenCell& cell, bool) {
  return cell.candidates.size() - 1;
}

double id_mean(const Observations& data, const Tests& tests) {
  double sum = 0.0, count = 0.0;
  for (const Observation& row : tests) {
    if (data.text(row, Field::test_kind) != "id") continue;
    sum += row.value;
    count += 1.0;
  }
  return sum / count;  // NaN without any
}

std::optional<std::size_t> best_on_test(const Observations& data, const ChosenCell& cell, bool higher) {
  std::optional<std::size_t> best;
  double best_score = 0.0;
  for (std::size_t i = 0; i < cell.candidates.size(); ++i) {
    if (cell.candidates[i].status == "failed") continue;
    if (!cell.tests[i]) return std::nullopt;
    const double score = id_mean(data, *cell.tests[i]) * (higher ? 1.0 : -1.0);
    if (std::isnan(score)) return std::nullopt;
    if (best && score <= best_score) continue;
    best = i;
    best_score = score;
  }
  return best;
}

constexpr std::pair<const char*, RuleFunction> kRules[] = {
    {"as run", as_run}, {"accuracy", by_accuracy}, {"loss", by_loss}, {"last", last_written}, {"oracle", best_on_test}};

RuleRow row_of(const Observations& data, const std::vector<ChosenCell>& cells, const char* name, RuleFunction rule,
               bool higher) {
  RuleRow row;
  row.rule = name;
  row.cells = cells.size();
  Tests known;
  for (const ChosenCell& cell : cells) {
    const std::optional<std::size_t> choice = rule(data, cell, higher);
    if (!choice) continue;
    ++row.answered;
    row.same += *choice == cell.chosen ? 1 : 0;
    if (!cell.tests[*choice]) continue;
    ++row.known;
    known.insert(known.end(), cell.tests[*choice]->begin(), cell.tests[*choice]->end());
  }
  if (row.known < row.cells) return row;
  row.id = score_of(task_seed_means(data, known, "id"), Inference());
  row.ood = score_of(task_seed_means(data, known, "ood"), Inference());
  return row;
}

RulesBoard build_rules(const Store& store, const LeaderboardQuery& query, const std::string& matrix) {
  Measured shown(store, query);
  LeaderboardQuery of_loss = query;
  of_loss.metric = "loss";
  Measured losses(store, of_loss);
  Observations data = shown.data();
  if (!matrix.empty()) require_one_of("matrix", matrix, data.distinct(Field::matrix));
  RulesBoard board;
  std::set<std::uint32_t> by_oracle;
  std::erase_if(data.rows, [&](const Observation& row) {
    const std::string& selection = data.text(row, kSelection);
    if (is_oracle(selection)) by_oracle.insert(row.cell);
    return selection.empty() || is_oracle(selection) || (!matrix.empty() && data.text(row, Field::matrix) != matrix);
  });
  data.failed.clear();
  if (data.rows.empty())
    throw Error(
        "no finished cell was chosen for by [selection] from scores of held-out rows; there are no candidates to "
        "choose from anew");
  describe(board, store, query);
  board.by_oracle = by_oracle.size();
  board.matrices = data.distinct(Field::matrix);
  const Grouping grouping = group_rows(data, grouping_fields(data, query.group_by));
  for (const Field field : grouping.fields) board.group_by.emplace_back(data.name(field));
  const Labels labels(data, grouping.fields);
  for (const Group& group : grouping.groups) {
    std::map<std::uint32_t, Observation> examples;  // by cell
    for (const Observation& row : group.done) examples.emplace(row.cell, row);
    std::vector<ChosenCell> cells;
    for (const auto& [cell, example] : examples) {
      cells.push_back(chosen_cell(store, shown, losses, example));
      board.other_data += cells.back().of_other_data ? 1 : 0;
    }
    for (const auto& [name, rule] : kRules) {
      RuleRow row = row_of(data, cells, name, rule, better(query.metric) != Better::lower);
      row.key = labels.key(group.example, grouping.fields);
      board.rows.push_back(std::move(row));
    }
  }
  std::stable_sort(board.rows.begin(), board.rows.end(),
                   [](const RuleRow& a, const RuleRow& b) { return a.key < b.key; });
  return board;
}

}  // namespace

RulesBoard query_selection_rules(const Store& store, LeaderboardQuery query) {
  if (better(query.metric) == Better::neither)
    throw Error(query.metric + " has no direction, none is better, so that no rule goes by it");
  query.names_of_cells = true;
  const std::string matrix = std::exchange(query.matrix, "");  // of others, too, what candidates come to
  return with_database_errors(store.impl().file, [&] { return build_rules(store, query, matrix); });
}

}  // namespace nmlbench
