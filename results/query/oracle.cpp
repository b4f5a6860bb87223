#include "results/query/oracle.h"

#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

bool is_oracle(const std::string& selection) {
  const auto rule = nlohmann::json::parse(selection, nullptr, /*allow_exceptions=*/false);
  return rule.is_object() && rule.value("rule", "") == "oracle";
}

std::vector<std::string> tuners_by_oracle(const Observations& data) {
  constexpr Field kSelection = field("selection");
  std::vector<bool> oracle;
  for (const std::string& text : data.dictionaries[kSelection.index()].texts()) oracle.push_back(is_oracle(text));
  std::set<std::string> tuners;
  for (const std::vector<Observation>* rows : {&data.rows, &data.failed}) {
    for (const Observation& row : *rows) {
      if (oracle[data.id(row, kSelection)]) tuners.insert(data.text(row, Field::tuner));
    }
  }
  return {tuners.begin(), tuners.end()};
}

std::string oracle_note(const Observations& data) {
  const std::vector<std::string> tuners = tuners_by_oracle(data);
  if (tuners.empty()) return "";
  return fmt::format(
      "Chosen on test: parameters of {} are those that did best on the in-domain test sets themselves (rule oracle), "
      "which flatters them.",
      fmt::join(tuners, ", "));
}

}  // namespace nmlbench
