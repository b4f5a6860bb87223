#include "results/boards/noise_effect.h"
#include "results/query/observations.h"
#include "results/render/leaderboard_table.h"
#include "results/render/typed_table.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

TableValue ratio_value(const std::optional<Ratio>& ratio) {
  return ratio ? TableValue(Estimate{ratio->value, ratio->interval}) : TableValue();
}

void add_kind(TypedTable& table, const NoiseEffect& effect, const std::string& name, const std::string& label,
              NoiseEffectRow::OfKind NoiseEffectRow::*kind) {
  const double factor = is_percentage(effect.metric) ? 100.0 : 1.0;
  const int digits = is_percentage(effect.metric) ? 1 : 4;
  table.columns.push_back(
      {.name = name + "_clean", .header = label + " clean", .is_estimate = true, .digits = digits, .factor = factor});
  table.columns.push_back({.name = name + "_slope",
                           .header = label + " per 10 % noise",
                           .is_estimate = true,
                           .digits = digits + 1,
                           .factor = factor,
                           .sign = true});
  if (!effect.baseline.empty()) {
    table.columns.push_back({.name = name + "_recovery",
                             .header = label + " recovery %",
                             .is_estimate = true,
                             .digits = 0,
                             .factor = 100.0});
  }
  for (std::size_t i = 0; i < effect.rows.size(); ++i) {
    const NoiseEffectRow::OfKind& values = effect.rows[i].*kind;
    table.rows[i].push_back(table_value(values.clean));
    table.rows[i].push_back(table_value(values.slope));
    if (!effect.baseline.empty()) table.rows[i].push_back(ratio_value(values.recovery));
  }
}

TypedTable make_table(const NoiseEffect& effect, bool for_people) {
  TypedTable table;
  table.rows.resize(effect.rows.size());
  for (std::size_t i = 0; i < effect.group_by.size(); ++i) {
    table.columns.push_back({.name = effect.group_by[i], .header = effect.group_by[i]});
    for (std::size_t r = 0; r < effect.rows.size(); ++r) {
      table.rows[r].emplace_back(for_people ? effect.rows[r].labels[i] : effect.rows[r].key[i]);
    }
  }
  table.columns.push_back({.name = "ratios", .header = "ratios"});
  if (!for_people) table.columns.push_back({.name = "complete"});
  for (std::size_t r = 0; r < effect.rows.size(); ++r) {
    const NoiseEffectRow& row = effect.rows[r];
    const bool marked = for_people && !row.complete;
    table.rows[r].emplace_back(fmt::format("{}{}", fmt::join(row.ratios, " "), marked ? " *" : ""));
    if (!for_people) table.rows[r].emplace_back(row.complete);
  }
  if (effect.kind != "ood") add_kind(table, effect, "id", "ID", &NoiseEffectRow::id);
  if (effect.kind != "id") add_kind(table, effect, "ood", "OOD", &NoiseEffectRow::ood);
  return table;
}

}  // namespace

TextTable table_for_people(const NoiseEffect& effect) {
  return for_people(make_table(effect, true));
}

std::vector<std::string> notes(const NoiseEffect& effect) {
  const bool t = effect.interval == IntervalMethod::student_t;
  std::vector<std::string> lines{
      fmt::format("Change of {} for each 10 % of pre-training noise: least-squares slope over the ratios, mean over "
                  "seeds; {}: 95 % "
                  "{} interval over seeds.",
                  effect.metric, t ? "±" : "[ ]", t ? "t" : "bootstrap")};
  if (!effect.baseline.empty()) {
    lines.push_back(
        fmt::format("Recovery: share of the drop of {} from clean to noisy pre-training that a tuner "
                    "regains; 95 % {} interval; - where noise did not hurt {}.",
                    effect.baseline, t ? "Fieller" : "bootstrap", effect.baseline));
  }
  if (std::any_of(effect.rows.begin(), effect.rows.end(), [](const auto& row) { return !row.complete; })) {
    lines.push_back("* Incomplete: not every ratio was measured on every task, test set and seed.");
  }
  return lines;
}

std::string render(const NoiseEffect& effect, TableFormat format, bool colour) {
  const bool people = format != TableFormat::csv && format != TableFormat::json;
  const nlohmann::ordered_json facts{
      {"metric", effect.metric},
      {"higher_is_better", effect.higher_is_better},
      {"matrices", effect.matrices},
      {"baseline", effect.baseline.empty() ? nullptr : nlohmann::ordered_json(effect.baseline)},
      {"group_by", effect.group_by}};
  const std::string title = fmt::format("{}: effect of pre-training noise on {}{}", fmt::join(effect.matrices, ", "),
                                        effect.metric, is_percentage(effect.metric) ? " (%)" : "");
  return render(Page{title, make_table(effect, people), notes(effect),
                     facts.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)},
                format, colour);
}

}  // namespace nmlbench
