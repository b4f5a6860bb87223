#include "plan/exclude.h"

#include "plan/planned_cell.h"
#include "records/columns.h"
#include "support/words.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include <fmt/format.h>

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
      using Have = std::decay_t<decltype(have)>;
      if constexpr (std::is_same_v<Have, std::optional<double>>) {
        same = have && same_number(*have, wanted);
      } else {
        same = std::is_integral_v<Have> && integer != nullptr ? static_cast<std::int64_t>(have) == *integer
                                                              : same_number(static_cast<double>(have), wanted);
      }
    }
  });
  return same;
}

}  // namespace

Excluder::Excluder(const std::vector<ExcludeSpec>& excludes) : excludes_(excludes), used_(excludes.size()) {
  for (const ExcludeSpec& exclude : excludes) {
    for (const auto& [column, values] : exclude.columns) met_[&values].resize(values.size());
  }
}

bool Excluder::excludes(const Plan& plan, const Cell& cell) {
  if (excludes_.empty()) return false;
  const CellRecord record = planned_cell(plan, cell);
  const std::string models = plan.checkpoints[cell.checkpoint].noise_models();
  bool any = false;
  for (std::size_t i = 0; i < excludes_.size(); ++i) {
    bool all = true;
    for (const auto& [column, values] : excludes_[i].columns) {
      std::vector<bool>& met = met_[&values];
      bool one = false;
      for (std::size_t v = 0; v < values.size(); ++v) {
        if (!matches(record, models, column, values[v])) continue;
        met[v] = one = true;
      }
      all = all && one;
    }
    used_[i] = used_[i] || all;
    any = any || all;
  }
  for (const ExcludeSpec& exclude : excludes_) note_names(exclude, record, models);
  return any;
}

void Excluder::note_names(const ExcludeSpec& exclude, const CellRecord& record, const std::string& models) {
  for (const auto& [column, values] : exclude.columns) {
    visit_member(*find_column(column), record, [&, name = column](const auto& have) {
      if constexpr (std::is_same_v<std::decay_t<decltype(have)>, std::string>) there_[name].insert(have);
    });
    if (column == "noise") there_[column].insert(models);
  }
}

void Excluder::require_use() const {
  for (std::size_t i = 0; i < excludes_.size(); ++i) {
    for (const auto& [column, values] : excludes_[i].columns) {
      const std::vector<bool>& met = met_.at(&values);
      for (std::size_t v = 0; v < values.size(); ++v) {
        if (met[v]) continue;
        const auto* text = std::get_if<std::string>(&values[v].data);
        const auto names = there_.find(column);
        throw ConfigError(values[v].where,
                          fmt::format("no cell has {} = {}, so it excludes nothing{}", column, values[v].text(),
                                      text == nullptr || names == there_.end()
                                          ? ""
                                          : suggestion(*text, {names->second.begin(), names->second.end()})));
      }
    }
    if (!used_[i]) {
      throw ConfigError(excludes_[i].where,
                        "excludes nothing: no cell has all of these values at once; correct or remove it");
    }
  }
}

}  // namespace nmlbench
