#include "results/boards/comparison.h"
#include "results/render/board_facts.h"
#include "results/render/typed_table.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

std::string scaled(const Comparison& comparison, double value, bool sign) {
  const bool percent = is_percentage(comparison.metric);
  const double shown = percent ? 100.0 * value : value;
  return sign ? fmt::format("{:+.{}f}", shown, percent ? 1 : 4) : fmt::format("{:.{}f}", shown, percent ? 1 : 4);
}

std::vector<TableValue> group_values(const Comparison& comparison, const ComparedGroup& group) {
  const Difference& difference = group.difference;
  std::vector<TableValue> values{count_value(group.improved + group.worse + group.unchanged),
                                 count_value(group.improved),
                                 count_value(group.worse),
                                 count_value(group.unchanged),
                                 group.before,
                                 group.after,
                                 Estimate{difference.mean, difference.interval},
                                 count_value(difference.seeds),
                                 count_value(difference.tasks),
                                 table_value(difference.p),
                                 table_value(difference.p_holm)};
  if (comparison.inference.power) values.push_back(count_value(difference.needed));
  values.push_back(std::string(verdict_name(group.verdict, comparison.better)) +
                   (group.dropped_too_far ? ", beyond the drop allowed" : ""));
  return values;
}

TypedTable make_table(const Comparison& comparison, bool for_people) {
  const double factor = is_percentage(comparison.metric) ? 100.0 : 1.0;
  const int digits = is_percentage(comparison.metric) ? 1 : 4;
  const bool directed = comparison.better != Better::neither;
  TypedTable table;
  for (const std::string& name : comparison.group_by) table.columns.push_back(key_column(name));
  table.columns.insert(
      table.columns.end(),
      {{.name = "cells", .header = "cells"},
       {.name = directed ? "improved" : "higher", .header = directed ? "better" : "higher"},
       {.name = directed ? "worse" : "lower", .header = directed ? "worse" : "lower"},
       {.name = "unchanged", .header = "same"},
       {.name = "before", .header = "A", .digits = digits, .factor = factor},
       {.name = "after", .header = "B", .digits = digits, .factor = factor},
       {.name = "difference", .header = "B - A", .is_estimate = true, .digits = digits, .factor = factor, .sign = true},
       {.name = "seeds"},
       {.name = "tasks"},
       {.name = "p"},
       {.name = "p_holm", .header = "p", .is_p_value = true}});
  if (comparison.inference.power) {
    table.columns.push_back({.name = "needed", .header = power_header(comparison.inference, "B - A")});
  }
  table.columns.push_back({.name = "verdict", .header = "verdict"});
  for (const ComparedGroup& group : comparison.groups) {
    std::vector<TableValue> row;
    for (const KeyValue& value : group.key) row.push_back(key_value(value, for_people));
    for (TableValue& value : group_values(comparison, group)) row.push_back(std::move(value));
    table.rows.push_back(std::move(row));
  }
  if (for_people && comparison.groups.size() > 1) {
    std::vector<TableValue> row(comparison.group_by.size(), std::string("-"));
    row.front() = std::string("all");
    for (TableValue& value : group_values(comparison, comparison.overall)) row.push_back(std::move(value));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string pairing_text(const Comparison& comparison) {
  std::vector<std::string> parts{fmt::format("{} by id", comparison.same_id)};
  if (comparison.same_coordinates > 0) parts.push_back(fmt::format("{} by coordinates", comparison.same_coordinates));
  if (comparison.same_description > 0) parts.push_back(fmt::format("{} by description", comparison.same_description));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<std::string> notes(const Comparison& comparison, std::size_t most) {
  const bool directed = comparison.better != Better::neither;
  std::vector<const Score*> differences{&comparison.overall.difference};
  for (const ComparedGroup& group : comparison.groups) differences.push_back(&group.difference);
  std::vector<std::string> lines{
      fmt::format(
          "Cells in both: {} {}, {} {}, {} unchanged (paired {}); {} only in A, {} only in B; {} fail in B that "
          "did not in A, {} the other way.",
          comparison.improved, directed ? "improved" : "higher", comparison.worse, directed ? "worse" : "lower",
          comparison.unchanged, pairing_text(comparison), comparison.only_in_a, comparison.only_in_b,
          comparison.newly_failed, comparison.newly_done),
      inference_note(comparison.inference, differences, "the groups (\"all\": uncorrected)")};
  if (comparison.inference.power) lines.push_back(power_note(comparison.inference));
  if (!comparison.pooled.empty()) {
    lines.push_back(fmt::format("Groups pool cells that differ in {}; add them to --group-by to tell them apart.",
                                fmt::join(comparison.pooled, ", ")));
  }
  for (const std::string& line : {comparison.chosen_on_test, comparison.seeds_vary, comparison.unmeasured,
                                  comparison.superseded, left_out_note(differences)}) {
    if (!line.empty()) lines.push_back(line);
  }
  for (std::size_t i = 0; i < std::min(most, comparison.changes.size()); ++i) {
    const ChangedCell& change = comparison.changes[i];
    lines.push_back(fmt::format("{} -> {} ({})  {}  {}, seed {}  {}", scaled(comparison, change.before, false),
                                scaled(comparison, change.after, false),
                                scaled(comparison, change.after - change.before, true), fmt::join(change.labels, " "),
                                change.task, change.seed, change.after_id.substr(0, 12)));
  }
  if (comparison.changes.size() > most) {
    lines.push_back(
        fmt::format("... and {} smaller changes; --changes N lists more", comparison.changes.size() - most));
  }
  return lines;
}

nlohmann::ordered_json overall_json(const ComparedGroup& group, Better direction) {
  const Difference& difference = group.difference;
  nlohmann::ordered_json json{{"before", group.before},
                              {"after", group.after},
                              {"difference", difference.mean},
                              {"difference_low", nullptr},
                              {"difference_high", nullptr},
                              {"seeds", difference.seeds},
                              {"tasks", difference.tasks},
                              {"p", nullptr},
                              {"verdict", verdict_name(group.verdict, direction)}};
  if (difference.interval) {
    json["difference_low"] = difference.interval->low;
    json["difference_high"] = difference.interval->high;
  }
  if (difference.p) json["p"] = *difference.p;
  return json;
}

std::string facts_json(const Comparison& comparison, std::size_t most) {
  nlohmann::ordered_json changes = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < std::min(most, comparison.changes.size()); ++i) {
    const ChangedCell& change = comparison.changes[i];
    changes.push_back({{"cell_id", change.before_id},
                       {"cell_id_after", change.after_id},
                       {"task", change.task},
                       {"seed", change.seed},
                       {"before", change.before},
                       {"after", change.after}});
  }
  const bool directed = comparison.better != Better::neither;
  nlohmann::ordered_json json{{"a", comparison.a.string()},
                              {"b", comparison.b.string()},
                              {"regression", comparison.has_regression()},
                              {directed ? "improved" : "higher", comparison.improved},
                              {directed ? "worse" : "lower", comparison.worse},
                              {"unchanged", comparison.unchanged},
                              {"only_in_a", comparison.only_in_a},
                              {"only_in_b", comparison.only_in_b},
                              {"newly_failed", comparison.newly_failed},
                              {"newly_done", comparison.newly_done},
                              {"paired_by_id", comparison.same_id},
                              {"paired_by_coordinates", comparison.same_coordinates},
                              {"paired_by_description", comparison.same_description},
                              {"overall", overall_json(comparison.overall, comparison.better)},
                              {"pooled", comparison.pooled},
                              {"changes", changes}};
  json.update(facts_of(comparison));
  return one_line(json);
}

}  // namespace

std::string render(const Comparison& comparison, TableFormat format, std::size_t changes, bool colour) {
  const bool people = is_for_people(format);
  const std::string title =
      fmt::format("A = {}, B = {}: {}", comparison.a.string(), comparison.b.string(), described(comparison.metric));
  return render(
      Page{title, make_table(comparison, people), notes(comparison, changes), facts_json(comparison, changes)}, format,
      colour);
}

}  // namespace nmlbench
