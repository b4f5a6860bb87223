#include "results/boards/noise_effect.h"
#include "results/query/observations.h"
#include "results/render/board_facts.h"
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

// "0 0.05 0.101"
std::string rates_text(const std::vector<double>& rates) {
  std::vector<std::string> texts;
  for (const double rate : rates) texts.push_back(fmt::format("{:.3g}", rate));
  return fmt::format("{}", fmt::join(texts, " "));
}

// "2.0 (3.3)": the drop of a tuner, and of the baseline on the same cells.
TableValue both_drops(const NoiseEffectRow::OfKind& values, std::string_view metric) {
  if (!values.drop) return {};
  const bool percent = is_percentage(metric);
  const auto text = [percent](const Score& drop) {
    return percent ? fmt::format("{:.1f}", 100.0 * drop.mean) : fmt::format("{:.4f}", drop.mean);
  };
  const std::string own = text(*values.drop);
  return values.baseline_drop ? fmt::format("{} ({})", own, text(*values.baseline_drop)) : own;
}

// The columns of one kind of test set.
class KindColumnsBuilder {
 public:
  KindColumnsBuilder(TypedTable& table, const NoiseEffect& effect, NoiseEffectRow::OfKind NoiseEffectRow::*kind)
      : table_(table), effect_(effect), kind_(kind) {}

  template <typename Value>
  void add(TypedTable::Column column, Value&& value) {
    table_.columns.push_back(std::move(column));
    for (std::size_t i = 0; i < effect_.rows.size(); ++i) table_.rows[i].push_back(value(effect_.rows[i].*kind_));
  }
  // `extra`: more digits than the metric's.
  template <typename Estimated>
  void add_estimate(TypedTable::Column column, std::optional<Estimated> NoiseEffectRow::OfKind::*member,
                    int extra = 0) {
    const bool percent = is_percentage(effect_.metric);
    column.is_estimate = true;
    column.factor = percent ? 100.0 : 1.0;
    column.digits = (percent ? 1 : 4) + extra;
    add(std::move(column), [member](const auto& values) {
      return values.*member ? table_value(std::optional<Score>(*(values.*member))) : TableValue();
    });
  }

 private:
  TypedTable& table_;
  const NoiseEffect& effect_;
  NoiseEffectRow::OfKind NoiseEffectRow::*kind_;
};

void add_comparison(KindColumnsBuilder& builder, const NoiseEffect& effect, const std::string& name,
                    const std::string& label) {
  using OfKind = NoiseEffectRow::OfKind;
  const auto difference = [](auto member) {
    return [member](const OfKind& values) {
      return values.drop_difference ? table_value((*values.drop_difference).*member) : TableValue();
    };
  };
  builder.add_estimate({.name = name + "_baseline_drop"}, &OfKind::baseline_drop);
  builder.add(
      {.name = name + "_recovery", .header = label + " recovery %", .is_estimate = true, .digits = 0, .factor = 100.0},
      [](const OfKind& values) { return ratio_value(values.recovery); });
  builder.add_estimate({.name = name + "_drop_difference"}, &OfKind::drop_difference);
  builder.add({.name = name + "_drop_difference_p"}, difference(&Difference::p));
  builder.add({.name = name + "_drop_difference_p_holm", .header = "p " + label, .is_p_value = true},
              difference(&Difference::p_holm));
  if (!effect.inference.power) return;
  builder.add({.name = name + "_needed", .header = power_header(effect.inference, label)}, [](const OfKind& values) {
    return values.drop_difference ? count_value(values.drop_difference->needed) : TableValue();
  });
}

void add_kind(TypedTable& table, const NoiseEffect& effect, const std::string& name, const std::string& label,
              NoiseEffectRow::OfKind NoiseEffectRow::*kind, bool for_people) {
  using OfKind = NoiseEffectRow::OfKind;
  KindColumnsBuilder builder(table, effect, kind);
  builder.add_estimate({.name = name + "_clean", .header = label + " clean"}, &OfKind::clean);
  builder.add_estimate({.name = name + "_slope", .header = label + " per 10 % noise", .sign = true}, &OfKind::slope, 1);
  const auto seeds = [](const OfKind& values) {
    return values.slope ? count_value(values.slope->seeds) : TableValue();
  };
  const auto tasks = [](const OfKind& values) {
    return values.slope ? count_value(values.slope->tasks) : TableValue();
  };
  builder.add({.name = name + "_seeds"}, seeds);
  builder.add({.name = name + "_tasks"}, tasks);
  if (effect.better == Better::neither) return;
  const bool compared = !effect.baseline.empty();
  builder.add_estimate({.name = name + "_drop", .header = compared ? "" : label + " drop"}, &OfKind::drop);
  if (!compared) return;
  if (for_people) {
    builder.add({.name = "", .header = label + " drop (base)"},
                [&effect](const OfKind& values) { return both_drops(values, effect.metric); });
  }
  add_comparison(builder, effect, name, label);
}

TypedTable make_table(const NoiseEffect& effect, bool for_people) {
  TypedTable table;
  table.rows.resize(effect.rows.size());
  for (std::size_t i = 0; i < effect.group_by.size(); ++i) {
    table.columns.push_back(key_column(effect.group_by[i]));
    for (std::size_t r = 0; r < effect.rows.size(); ++r) {
      table.rows[r].push_back(key_value(effect.rows[r].key[i], for_people));
    }
  }
  table.columns.push_back({.name = "rates", .header = "rates"});
  if (!for_people) table.columns.push_back({.name = "complete"});
  for (std::size_t r = 0; r < effect.rows.size(); ++r) {
    const NoiseEffectRow& row = effect.rows[r];
    const bool marked = for_people && !row.complete;
    table.rows[r].emplace_back(fmt::format("{}{}", rates_text(row.rates), marked ? " *" : ""));
    if (!for_people) table.rows[r].emplace_back(row.complete);
  }
  if (effect.kind != "ood") add_kind(table, effect, "id", "ID", &NoiseEffectRow::id, for_people);
  if (effect.kind != "id") add_kind(table, effect, "ood", "OOD", &NoiseEffectRow::ood, for_people);
  return table;
}

const char* recovery_interval(const Inference& how) {
  if (how.unit == SamplingUnit::crossed) return "";
  return how.interval == IntervalMethod::student_t ? " Its [ ]: 95 % Fieller interval." : " Its [ ]: bootstrap.";
}

}  // namespace

TextTable table_for_people(const NoiseEffect& effect) {
  return for_people(make_table(effect, true));
}

std::vector<std::string> notes(const NoiseEffect& effect) {
  std::vector<const Score*> slopes, differences;
  for (const NoiseEffectRow& row : effect.rows) {
    for (const auto* kind : {&row.id, &row.ood}) {
      slopes.push_back(pointer_to(kind->slope));
      differences.push_back(pointer_to(kind->drop_difference));
    }
  }
  const bool tested = has_any(differences);
  std::vector<std::string> lines{
      fmt::format("Per 10 % noise: least-squares slope of {} over the realised rates.", effect.metric)};
  if (effect.better != Better::neither) lines.front() += " Drop: clean minus the mean of noisy levels.";
  if (tested) {
    lines.push_back(
        fmt::format("Recovery: 1 - drop / drop of {} on the same cells (in brackets); 0 %: it loses as much, "
                    "100 %: nothing. p: of equal drops.{}",
                    effect.baseline, recovery_interval(effect.inference)));
  }
  lines.push_back(inference_note(effect.inference, tested ? differences : slopes, tested ? "the rows" : ""));
  if (tested && effect.inference.power) lines.push_back(power_note(effect.inference));
  for (const std::string& line : {effect.clean_undecided, effect.chosen_on_test, effect.seeds_vary, effect.spectra,
                                  effect.unmeasured, effect.superseded, left_out_note(slopes)}) {
    if (!line.empty()) lines.push_back(line);
  }
  if (std::any_of(effect.rows.begin(), effect.rows.end(), [](const auto& row) { return !row.complete; })) {
    lines.push_back(
        "* Incomplete: of this row or the baseline not every ratio was measured on every task, test set and seed.");
  }
  return lines;
}

std::string render(const NoiseEffect& effect, TableFormat format, bool colour) {
  const bool people = is_for_people(format);
  const std::string title = fmt::format("{}: effect of pre-training noise on {}{}", fmt::join(effect.matrices, ", "),
                                        effect.metric, is_percentage(effect.metric) ? " (%)" : "");
  return render(Page{title, make_table(effect, people), notes(effect), one_line(facts_of(effect))}, format, colour);
}

}  // namespace nmlbench
