#include "results/boards/test_sampling.h"

#include "results/store/database.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <SQLiteCpp/Statement.h>

namespace nmlbench {

namespace {

constexpr double kNormal95 = 1.959963984540054;  // quantile of the normal distribution at 0.975

constexpr const char* kSelectSizes =
    "SELECT e.task, e.task_params, k.test_set,"
    " (SELECT sum(json_extract(j.value, '$[2]')) FROM json_each(k.counts) j),"
    " coalesce(s.digest, json_array(e.task, e.task_params, k.test_set))"
    " FROM (SELECT task, task_params, max(cell) AS cell FROM cells WHERE status = 'done' GROUP BY task, task_params) e"
    " JOIN confusion k ON k.cell = e.cell"
    " LEFT JOIN predictions p ON p.cell = e.cell AND p.test_set = k.test_set"
    " LEFT JOIN sample_sets s ON s.sample_set = p.sample_set";

}  // namespace

TestSampling::TestSampling(const Store& store) {
  SQLite::Statement statement(store.impl().db, kSelectSizes);
  while (statement.executeStep()) {
    const auto text = [&](int column) { return statement.getColumn(column).getString(); };
    sizes_[{text(0), text(1), text(2)}] = {statement.getColumn(3).getDouble(), text(4)};
  }
}

std::optional<double> TestSampling::half_width(const Observations& data, const std::vector<Observation>& rows,
                                               std::string_view kind) const {
  const std::uint32_t wanted = data.id_of(Field::test_kind, kind);
  struct Place {  // a test set of a task
    Observation example;
    double total = 0.0, count = 0.0;
  };
  std::map<std::array<std::uint32_t, 3>, Place> places;
  for (const Observation& row : rows) {
    if (data.id(row, Field::test_kind) != wanted) continue;
    Place& place = places[{data.id(row, Field::task), data.id(row, field("task_params")), row.test_set}];
    place.example = row;
    place.total += row.value;
    place.count += 1.0;
  }
  std::map<std::uint32_t, double> test_sets;  // of each task
  for (const auto& [key, place] : places) test_sets[key[0]] += 1.0;
  struct Part {
    double deviation = 0.0, samples = 0.0;
  };
  std::map<std::string, Part> parts;  // tasks that are tested on the same samples err together
  for (const auto& [key, place] : places) {
    const auto text = [&, &place = place](Field field) { return data.text(place.example, field); };
    const auto size = sizes_.find({text(Field::task), text(field("task_params")), text(Field::test_set)});
    if (size == sizes_.end() || !(size->second.samples > 0.0)) return std::nullopt;
    const double p = place.total / place.count;
    Part& part = parts[size->second.key];
    part.deviation +=
        std::sqrt(std::max(0.0, p * (1.0 - p))) / (static_cast<double>(test_sets.size()) * test_sets[key[0]]);
    part.samples = size->second.samples;
  }
  if (parts.empty()) return std::nullopt;
  double variance = 0.0;
  for (const auto& [key, part] : parts) variance += part.deviation * part.deviation / part.samples;
  return kNormal95 * std::sqrt(variance);
}

}  // namespace nmlbench
