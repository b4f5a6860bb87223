#include "results/report/summary.h"

#include "results/render/typed_table.h"
#include "results/store/database.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

using kainjow::mustache::data;

namespace {

// "tuner nmtune, noise_ratio 0.1": of the columns in which rows of the board differ.
std::string description(const Leaderboard& board, const LeaderboardRow& row) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < board.group_by.size(); ++i) {
    const auto same = [&](const LeaderboardRow& other) { return other.key[i] == row.key[i]; };
    const bool needed = board.group_by[i] == "tuner" || !std::all_of(board.rows.begin(), board.rows.end(), same);
    if (needed && !row.key[i].label.empty()) parts.push_back(fmt::format("{} {}", board.group_by[i], row.key[i].label));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// "95 % t interval over n = 3 seeds, each the mean over 2 tasks"
std::string unit_text(const Score& score) {
  const std::string of_tasks = score.tasks > 1 ? fmt::format(", each the mean over {} tasks", score.tasks) : "";
  if (!score.half_width) return fmt::format("n = {} seed{}, no interval", score.seeds, of_tasks);
  return fmt::format("95 % t interval over n = {} seeds{}", score.seeds, of_tasks);
}

// "+1.2 ± 0.9 points, p = 0.030 (paired t test over 3 seeds, Holm-corrected over the leaderboard): told apart."
std::string test_text(const Difference& difference) {
  std::string text = fmt::format("{:+.1f}", 100.0 * difference.mean);
  if (difference.half_width) text += fmt::format(" ± {:.1f}", 100.0 * *difference.half_width);
  text += " points";
  if (!difference.p_holm) return text + ", not tested.";
  const double p = *difference.p_holm;
  return text + fmt::format(", p {} (paired t test over {} seeds, Holm-corrected over the leaderboard): {}.",
                            p < 0.001 ? "< 0.001" : "= " + p_value_text(p), difference.seeds,
                            p < 0.05 ? "told apart" : "not told apart at 5 %");
}

bool is_of_tuner(const std::string& column) {
  return column == "tuner" || column == "tuner_params";
}

// Whether a row is the baseline's, "linear-probe" or "linear-probe (lr=0.1)".
bool is_baseline(const Leaderboard& board, const LeaderboardRow& row) {
  std::string tuner, parameters;
  for (std::size_t i = 0; i < board.group_by.size(); ++i) {
    if (board.group_by[i] == "tuner") tuner = row.key[i].label;
    if (board.group_by[i] == "tuner_params" && !row.key[i].label.empty())
      parameters = fmt::format(" ({})", row.key[i].label);
  }
  return board.baseline == tuner + parameters;
}

// Whether two rows differ in nothing but the tuner.
bool same_condition(const Leaderboard& board, const LeaderboardRow& a, const LeaderboardRow& b) {
  for (std::size_t i = 0; i < board.group_by.size(); ++i) {
    if (!is_of_tuner(board.group_by[i]) && !(a.key[i] == b.key[i])) return false;
  }
  return true;
}

// One kind of test set.
struct KindMembers {
  const char* name;
  std::optional<Score> LeaderboardRow::*score;
  std::optional<Difference> LeaderboardRow::*difference;
};

using RowFilter = std::function<bool(const LeaderboardRow& row)>;

// The highest score of complete rows; null when there is none.
const LeaderboardRow* highest(const Leaderboard& board, const KindMembers& kind, const RowFilter& wanted) {
  const LeaderboardRow* best = nullptr;
  for (const LeaderboardRow& row : board.rows) {
    if (!row.complete || !(row.*kind.score) || !wanted(row)) continue;
    if (best == nullptr || (row.*kind.score)->mean > (best->*kind.score)->mean) best = &row;
  }
  return best;
}

// What tells the best row from the baseline, or, where it is the baseline, the next of its condition from it.
std::string significance(const Leaderboard& board, const LeaderboardRow& best, const KindMembers& kind) {
  if (const auto& difference = best.*kind.difference)
    return fmt::format(" Against {}: {}", board.baseline, test_text(*difference));
  if (!is_baseline(board, best)) return "";
  const LeaderboardRow* next = highest(board, kind, [&](const LeaderboardRow& row) {
    return (row.*kind.difference).has_value() && same_condition(board, row, best);
  });
  if (next == nullptr) return "";
  return fmt::format(" Next, {}, against it: {}", description(board, *next), test_text(*(next->*kind.difference)));
}

// A sentence about the highest score; "" when there is none.
std::string best_of(const Leaderboard& board, const KindMembers& kind) {
  const LeaderboardRow* best = highest(board, kind, [](const LeaderboardRow&) { return true; });
  if (best == nullptr) return "";
  const auto rows = std::count_if(board.rows.begin(), board.rows.end(), [&](const LeaderboardRow& row) {
    return row.complete && (row.*kind.score).has_value();
  });
  const Score& value = *(best->*kind.score);
  const std::string interval = value.half_width ? fmt::format(" ± {:.1f}", 100.0 * *value.half_width) : "";
  const std::string what =
      rows > 1 ? fmt::format("Highest {} of {} rows", kind.name, rows) : fmt::format("Accuracy {}", kind.name);
  return fmt::format("{}: {:.1f}{} % ({}) by {}.{}", what, 100.0 * value.mean, interval, unit_text(value),
                     description(board, *best), significance(board, *best, kind));
}

}  // namespace

data findings(const Leaderboard& board) {
  data lines(data::type::list);
  for (const std::string& line :
       {best_of(board, {"in-domain", &LeaderboardRow::id, &LeaderboardRow::id_difference}),
        best_of(board, {"out-of-domain", &LeaderboardRow::ood, &LeaderboardRow::ood_difference}), board.chosen_on_test,
        board.seeds_vary}) {
    if (!line.empty()) lines << data(line);
  }
  return lines;
}

data summary_facts(const Store& store) {
  data facts(data::type::list);
  const std::pair<const char*, const char*> queries[] = {
      {"cells done", "SELECT count(*) FROM cells WHERE status = 'done'"},
      {"cells failed", "SELECT count(*) FROM cells WHERE status = 'failed'"},
      {"encoders", "SELECT count(DISTINCT encoder || encoder_params) FROM sources"},
      {"tuners", "SELECT count(DISTINCT tuner) FROM tuners"},
      {"tasks", "SELECT count(DISTINCT task) FROM cells"},
      {"seeds", "SELECT count(DISTINCT seed) FROM cells"},
      {"runs", "SELECT count(*) FROM runs"}};
  for (const auto& [name, sql] : queries) {
    data fact;
    fact["name"] = name;
    fact["value"] = fmt::to_string(count_of(store.impl().db, sql));
    facts << fact;
  }
  return facts;
}

}  // namespace nmlbench
