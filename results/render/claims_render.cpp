#include "results/boards/confidence_sequence.h"
#include "results/render/claims_table.h"
#include "results/render/typed_table.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

constexpr double kSkewed = 2.0;  // standard deviations

std::string points(const ClaimsBoard& board, double value) {
  return is_percentage(board.metric) ? fmt::format("{:g} points", value) : fmt::format("{:g}", value);
}

std::string verdict_text(const ClaimsBoard& board, const ClaimRow& row) {
  const std::string name = verdict_name(row.verdict);
  const bool one_sided = row.verdict == ClaimVerdict::supported || row.verdict == ClaimVerdict::refuted;
  return one_sided && row.below_effect ? fmt::format("{}, by less than {}", name, points(board, board.rule.effect))
                                       : name;
}

TypedTable claims_table(const ClaimsBoard& board, bool for_people) {
  const bool percent = is_percentage(board.metric);
  TypedTable table;
  table.columns = {{.name = "claim", .header = "claim"},
                   {.name = "verdict", .header = "verdict"},
                   {.name = "difference",
                    .header = "difference",
                    .is_estimate = true,
                    .digits = percent ? 2 : 4,
                    .factor = percent ? 100.0 : 1.0,
                    .sign = true},
                   {.name = "seeds", .header = "seeds"},
                   {.name = "left_out"},
                   {.name = "below_effect"},
                   {.name = "skewness"},
                   {.name = "averaged_over"}};
  for (const ClaimRow& row : board.rows) {
    table.rows.push_back({row.claim.text,
                          for_people ? verdict_text(board, row) : std::string(verdict_name(row.verdict)),
                          row.difference ? TableValue(Estimate{*row.difference, row.interval}) : TableValue(),
                          count_value(row.seeds), count_value(row.left_out), row.below_effect,
                          table_value(row.skewness), fmt::format("{}", fmt::join(row.pooled, " "))});
  }
  return table;
}

std::string level_text(const ClaimsBoard& board) {
  const std::size_t claims = board.rows.size();
  std::string text =
      fmt::format("±: confidence sequence over seeds at {:.4g} %", 100.0 * (1.0 - board.level_of_each()));
  if (claims > 1) {
    text += fmt::format(" for each claim (Bonferroni: {:g} % for any of {} to be missed)", 100.0 * board.rule.level,
                        claims);
  }
  return text +
         ", valid at all numbers of seeds at once, so that seeds may be added after looking; it takes the differences "
         "of seeds for normal (docs/STATISTICS.md, \"Claims\").";
}

std::string verdicts_text(const ClaimsBoard& board) {
  std::string text = "Supported: the interval is above 0; refuted: below 0";
  if (board.rule.effect > 0.0)
    text += fmt::format("; no difference that matters: within ± {}", points(board, board.rule.effect));
  return text + "; undecided: none of these.";
}

void add_notes_on_rows(std::vector<std::string>& lines, const ClaimsBoard& board) {
  std::set<std::string> pooled;
  std::size_t left_out = 0;
  for (const ClaimRow& row : board.rows) {
    pooled.insert(row.pooled.begin(), row.pooled.end());
    left_out = std::max(left_out, row.left_out);
  }
  if (!pooled.empty())
    lines.push_back(fmt::format("A seed's difference is a mean over {}, too; JSON and CSV say of which claim.",
                                fmt::join(pooled, ", ")));
  if (left_out > 0)
    lines.push_back(
        fmt::format("Seeds that lack a cell of a claim, or have one that failed, do not count: {} at most.", left_out));
  for (const ClaimRow& row : board.rows) {
    if (row.all_equal)
      lines.push_back(
          fmt::format("{}: all {} seeds have the same difference; nothing varies that an interval could be "
                      "about.",
                      row.claim.text, row.seeds));
    if (row.skewness && std::abs(*row.skewness) > kSkewed)
      lines.push_back(
          fmt::format("{}: the differences are skewed ({:.1f} standard errors); the interval errs more often "
                      "than it says.",
                      row.claim.text, *row.skewness));
  }
}

void add_next_step(std::vector<std::string>& lines, const ClaimsBoard& board) {
  if (!board.recorded) return;
  if (board.decided()) return;
  const std::size_t enough = least_for_confidence_sequence(board.level_of_each());
  if (static_cast<std::size_t>(board.rule.max_seeds) < enough)
    lines.push_back(fmt::format("max_seeds = {}: there is no interval before {} seeds.", board.rule.max_seeds, enough));
  if (const auto next = board.next_seeds()) {
    lines.push_back(
        fmt::format("Undecided with {} of at most {} seeds: `nmlbench run` goes on by itself; shards go on "
                    "with --set stop.seeds={}.",
                    board.recorded->seeds, board.rule.max_seeds, *next));
  } else {
    lines.push_back(fmt::format("Undecided with max_seeds = {}.", board.rule.max_seeds));
  }
}

nlohmann::ordered_json facts_of(const ClaimsBoard& board) {
  const auto next = board.next_seeds();
  return {{"metric", board.metric},
          {"matrices", board.matrices},
          {"unit", "seed"},
          {"interval", "confidence sequence"},
          {"level", board.rule.level},
          {"level_of_each", board.level_of_each()},
          {"effect", board.rule.effect},
          {"decided", board.decided()},
          {"seeds_planned", board.recorded ? nlohmann::ordered_json(board.recorded->seeds) : nullptr},
          {"max_seeds", board.recorded ? nlohmann::ordered_json(board.rule.max_seeds) : nullptr},
          {"next_seeds", next ? nlohmann::ordered_json(*next) : nullptr},
          {"missing_cells", board.missing},
          {"seeds_vary", board.seeds_vary},
          {"superseded", board.superseded}};
}

}  // namespace

TextTable table_for_people(const ClaimsBoard& board) {
  return for_people(claims_table(board, true));
}

std::vector<std::string> notes(const ClaimsBoard& board) {
  std::vector<std::string> lines{
      "Difference: how much better the claim's side is, paired, mean over tasks and test sets of a seed, then over "
      "seeds.",
      level_text(board), verdicts_text(board)};
  add_notes_on_rows(lines, board);
  for (const std::string& line : {board.seeds_vary, board.superseded}) {
    if (!line.empty()) lines.push_back(line);
  }
  add_next_step(lines, board);
  return lines;
}

std::string render(const ClaimsBoard& board, TableFormat format, bool colour) {
  const bool people = is_for_people(format);
  const std::string title = fmt::format("{}: claims about {}{}", fmt::join(board.matrices, ", "), board.metric,
                                        is_percentage(board.metric) ? " (points)" : "");
  return render(Page{title, claims_table(board, people), notes(board), one_line(facts_of(board))}, format, colour);
}

}  // namespace nmlbench
