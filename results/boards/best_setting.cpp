#include "results/boards/best_setting.h"

#include "results/boards/scores.h"
#include "results/query/grouping.h"
#include "results/query/parameters.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// What a row of the board has in common: its columns, and of the objects that the chosen parameters stand in, the rest.
std::vector<Field> row_fields(Observations& data, const std::vector<Field>& chosen, const LeaderboardQuery& query) {
  std::vector<Field> fields = grouping_fields(data, query.group_by);
  std::set<Field> objects;
  for (const Field field : chosen) {
    std::erase(fields, field);
    objects.insert(data.origin(field));
  }
  for (const Field field : objects) {
    std::erase(fields, field);
    fields.push_back(add_remainder(data, field, query.best));
  }
  return fields;
}

struct Candidate {
  std::vector<KeyValue> values;
  std::vector<Observation> done;  // on the test sets that decide
  double goodness = 0.0;          // its score, the larger the better
};

// Candidates by row and by combination of values, both as numbered by the indices.
using Candidates = std::map<std::uint32_t, std::map<std::uint32_t, Candidate>>;

Candidates candidates_of(const Observations& data, KeyIndex& rows, KeyIndex& combinations,
                         const std::vector<Field>& chosen, const LeaderboardQuery& query) {
  const Labels labels(data);
  const std::uint32_t kind = data.id_of(Field::test_kind, query.best_by);
  Candidates candidates;
  for (const Observation& row : data.rows) {
    if (data.id(row, Field::test_kind) != kind) continue;
    Candidate& candidate = candidates[rows(row)][combinations(row)];
    if (candidate.done.empty()) candidate.values = labels.key(row, chosen);
    candidate.done.push_back(row);
  }
  const double sign = better(query.metric) == Better::higher ? 1.0 : -1.0;
  for (auto& [row, of_row] : candidates) {
    for (auto& [combination, candidate] : of_row) {
      const auto score = score_of(task_seed_means(data, candidate.done, query.best_by), query.inference);
      candidate.goodness = sign * rounded_for_ties(score->mean);
    }
  }
  return candidates;
}

std::uint32_t best_of(const std::map<std::uint32_t, Candidate>& candidates) {
  const auto worse = [](const auto& a, const auto& b) {
    const Candidate &left = a.second, &right = b.second;
    if (left.done.size() != right.done.size()) return left.done.size() < right.done.size();
    if (left.goodness != right.goodness) return left.goodness < right.goodness;
    return right.values < left.values;
  };
  return std::max_element(candidates.begin(), candidates.end(), worse)->first;
}

void check(const LeaderboardQuery& query) {
  for (const std::string& name : query.best) {
    if (!names_parameter(name)) throw Error(fmt::format("--best {}: expected a parameter, such as tuner.lr", name));
  }
  if (better(query.metric) == Better::neither) {
    throw Error(fmt::format("--best: {} has no direction, none is better; choose another --metric", query.metric));
  }
}

}  // namespace

std::string keep_best(Observations& data, const LeaderboardQuery& query) {
  if (query.best.empty()) return "";
  check(query);
  const std::vector<Field> chosen = fields_named(data, query.best);
  KeyIndex rows(data, row_fields(data, chosen, query)), combinations(data, chosen);
  const Candidates candidates = candidates_of(data, rows, combinations, chosen, query);
  if (candidates.empty()) {
    throw Error(fmt::format("--best by {0}: no cell was measured on a test set of kind {0}", query.best_by));
  }
  std::map<std::uint32_t, std::uint32_t> best;
  std::size_t most = 0;
  for (const auto& [row, of_row] : candidates) {
    best[row] = best_of(of_row);
    most = std::max(most, of_row.size());
  }
  const auto is_other = [&](const Observation& row) {
    const auto kept = best.find(rows(row));
    return kept != best.end() && kept->second != combinations(row);
  };
  std::erase_if(data.rows, is_other);
  std::erase_if(data.failed, is_other);
  if (most < 2) return "";  // there was nothing to choose from
  return fmt::format(
      "Chosen on test: of up to {} values of {} each row has the one whose {} {} over these very test samples is best, "
      "which flatters it.",
      most, fmt::join(query.best, ", "), query.best_by == "id" ? "ID" : "OOD", query.metric);
}

}  // namespace nmlbench
