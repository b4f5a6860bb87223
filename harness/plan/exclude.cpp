#include "plan/exclude.h"

#include "plan/planned_cell.h"
#include "records/columns.h"

#include <algorithm>
#include <type_traits>
#include <variant>

namespace nmlbench {
namespace {

// `models`: the names of the noise models alone, which [[exclude]] takes as well.
bool matches(const CellRecord& record, const std::string& models, const std::string& column, const Value& value) {
  bool same = false;
  visit_member(*find_column(column), record, [&](const auto& have) {
    if constexpr (std::is_same_v<std::decay_t<decltype(have)>, std::string>) {
      const auto* want = std::get_if<std::string>(&value.data);
      if (want == nullptr) throw ConfigError(value.where, "expected text, found " + value.text());
      same = *want == have || (column == "noise" && *want == models);
    } else {
      const auto* real = std::get_if<double>(&value.data);
      const auto* integer = std::get_if<std::int64_t>(&value.data);
      if (real == nullptr && integer == nullptr) {
        throw ConfigError(value.where, "expected a number, found " + value.text());
      }
      const double wanted = real != nullptr ? *real : static_cast<double>(*integer);
      if constexpr (std::is_same_v<std::decay_t<decltype(have)>, std::optional<double>>) {
        same = have == wanted;
      } else {
        same = static_cast<double>(have) == wanted;
      }
    }
  });
  return same;
}

}  // namespace

bool excluded(const Plan& plan, const Cell& cell, const std::vector<ExcludeSpec>& excludes) {
  if (excludes.empty()) return false;
  const CellRecord record = planned_cell(plan, cell);
  const std::string models = plan.checkpoints[cell.checkpoint].noise_models();
  return std::any_of(excludes.begin(), excludes.end(), [&](const ExcludeSpec& exclude) {
    return std::all_of(exclude.columns.begin(), exclude.columns.end(), [&](const auto& column) {
      return std::any_of(column.second.begin(), column.second.end(),
                         [&](const Value& value) { return matches(record, models, column.first, value); });
    });
  });
}

}  // namespace nmlbench
