#include "plan/selection.h"

#include "config/declared.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

Selection::Rule rule_named(const std::string& name) {
  if (name == "holdout") return Selection::Rule::holdout;
  if (name == "k-fold") return Selection::Rule::folds;
  return name == "last" ? Selection::Rule::last : Selection::Rule::oracle;
}

// Of the values given, those that the rule reads: `--set selection.rule=oracle` leaves the others where they are.
std::string canonical_of(const Params& params) {
  const std::string& rule = params.text("rule");
  nlohmann::json json = {{"rule", rule}};
  if (rule != "last") json["metric"] = params.text("metric");
  if (rule == "holdout") json.update({{"holdout", params.real("holdout")}, {"refit", params.boolean("refit")}});
  if (rule == "k-fold") json["folds"] = params.integer("folds");
  return json.dump();
}

void check_names(const std::vector<std::string>& over, const Location& where) {
  if (over.empty()) {
    throw ConfigError(where, "names no parameter, so there is nothing to choose from; over = [\"lr\"]");
  }
  for (auto name = over.begin(); name != over.end(); ++name) {
    if (std::find(over.begin(), name, *name) != name) {
      throw ConfigError(where, fmt::format("\"{}\" is listed twice", *name));
    }
  }
}

}  // namespace

std::int64_t Selection::parts() const {
  if (rule == Rule::folds) return folds;
  return rule == Rule::holdout ? 1 : 0;
}

double Selection::share_kept() const {
  if (rule == Rule::folds) return 1.0 - 1.0 / static_cast<double>(folds);
  return rule == Rule::holdout ? 1.0 - holdout : 1.0;
}

Selection read_selection(const PluginRef& table) {
  const Declaration declaration{"selection", kSelectionParams, std::size(kSelectionParams)};
  const std::vector<DeclaredValues> all = expand_declared(declaration, table.values, table.where);
  if (all.size() != 1) throw ConfigError(table.where, "has one value for each key; run the matrix once for each rule");
  const Params& params = all.front().params;
  Selection selection;
  selection.rule = rule_named(params.text("rule"));
  selection.holdout = params.real("holdout");
  selection.folds = params.integer("folds");
  selection.by_loss = params.text("metric") == "loss";
  selection.over = params.texts("over");
  selection.refit = params.boolean("refit");
  selection.canonical = canonical_of(params);
  selection.where = selection.where_over = table.where;
  for (const auto& [name, value] : table.values) {
    if (name == "over") selection.where_over = value.where;
  }
  check_names(selection.over, selection.where_over);
  if (selection.rule == Selection::Rule::folds && !selection.refit) {
    throw ConfigError(table.where,
                      "rule k-fold fits a candidate once for each fold, and refit = false keeps one fit; use rule = "
                      "\"holdout\", or leave refit out");
  }
  return selection;
}

}  // namespace nmlbench
