#include "results/render/board_facts.h"

#include <algorithm>

#include <fmt/format.h>

namespace nmlbench {

namespace {

struct Range {
  std::size_t least = 0, most = 0;

  std::string text() const { return least == most ? fmt::to_string(most) : fmt::format("{}-{}", least, most); }
};

Range range_of(const std::vector<const Score*>& scores, std::size_t Score::*count) {
  Range range{~std::size_t{0}, 0};
  for (const Score* score : scores) {
    if (score == nullptr) continue;
    range.least = std::min(range.least, score->*count);
    range.most = std::max(range.most, score->*count);
  }
  range.least = std::min(range.least, range.most);
  return range;
}

std::string averaged(const Range& others, const char* name) {
  return others.most < 2 ? "" : fmt::format(" (each the mean over {} {}s)", others.text(), name);
}

std::string unit_text(SamplingUnit unit, const Range& seeds, const Range& tasks) {
  switch (unit) {
    case SamplingUnit::seed:
      return fmt::format("seed, n = {}{}", seeds.text(), averaged(tasks, "task"));
    case SamplingUnit::task:
      return fmt::format("task, n = {}{}", tasks.text(), averaged(seeds, "seed"));
    case SamplingUnit::crossed:
      break;
  }
  return fmt::format("tasks and seeds crossed, {} x {}", tasks.text(), seeds.text());
}

std::string interval_text(const Inference& how) {
  if (how.interval == IntervalMethod::bootstrap) return "[ ]: 95 % bootstrap interval";
  return how.unit == SamplingUnit::crossed ? "±: 95 % t interval, two-way variance" : "±: 95 % t interval";
}

std::string test_text(const Inference& how, std::size_t n) {
  if (how.unit == SamplingUnit::crossed) return "t test, two-way variance";
  switch (how.test) {
    case PairedTest::wilcoxon:
      return fmt::format("Wilcoxon signed-rank test, not below {:.2g} at n = {}", smallest_p(how.test, n), n);
    case PairedTest::sign_flip:
      return fmt::format("exact sign-flip test, not below {:.2g} at n = {}", smallest_p(how.test, n), n);
    case PairedTest::student_t:
      break;
  }
  return "paired t test";
}

}  // namespace

std::string inference_note(const Inference& how, const std::vector<const Score*>& scores, std::string_view family) {
  const Range seeds = range_of(scores, &Score::seeds), tasks = range_of(scores, &Score::tasks);
  std::string text = "Unit: " + unit_text(how.unit, seeds, tasks);
  const std::size_t units = how.unit == SamplingUnit::seed   ? seeds.most
                            : how.unit == SamplingUnit::task ? tasks.most
                                                             : std::min(seeds.most, tasks.most);
  if (units < 2) return text + ": too few for an interval or a test.";
  text += "; " + interval_text(how);
  if (!family.empty()) text += fmt::format("; p: {}, Holm-corrected over {}", test_text(how, units), family);
  return text + ".";
}

std::string power_header(const Inference& how, const std::string& label) {
  return fmt::format("{} {}s for 80 %", label, unit_name(how.unit));
}

std::string power_note(const Inference& how) {
  return fmt::format(
      "{0}s for 80 %: a t test of so many {0}s would tell a difference of this size and scatter from zero at "
      "5 % (before Holm's correction) with 80 % power; - beyond {1}.",
      unit_name(how.unit), kMostUnits);
}

std::string left_out_note(const std::vector<const Score*>& scores) {
  const Range left_out = range_of(scores, &Score::left_out);
  if (left_out.most == 0) return "";
  return fmt::format("Seeds that lack a task are left out of averages and tests: {} of a row.", left_out.text());
}

bool has_any(const std::vector<const Score*>& scores) {
  return std::any_of(scores.begin(), scores.end(), [](const Score* score) { return score != nullptr; });
}

nlohmann::ordered_json facts_of(const BoardFacts& board) {
  const Inference& how = board.inference;
  nlohmann::ordered_json facts{{"metric", board.metric}, {"higher_is_better", nullptr}};
  if (board.better != Better::neither) facts["higher_is_better"] = board.better == Better::higher;
  facts["unit"] = unit_name(how.unit);
  facts["interval"] = how.interval == IntervalMethod::student_t ? "t" : "bootstrap";
  facts["test"] = how.test == PairedTest::student_t ? "t" : how.test == PairedTest::wilcoxon ? "wilcoxon" : "sign-flip";
  facts["matrices"] = board.matrices;
  facts["baseline"] = board.baseline.empty() ? nullptr : nlohmann::ordered_json(board.baseline);
  facts["group_by"] = board.group_by;
  facts["seeds_vary"] = board.seeds_vary;
  facts["spectra"] = board.spectra;
  facts["unmeasured"] = board.unmeasured;
  facts["superseded"] = board.superseded;
  facts["chosen_on_test"] = board.chosen_on_test;
  return facts;
}

}  // namespace nmlbench
