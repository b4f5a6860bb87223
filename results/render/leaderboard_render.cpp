#include "results/boards/leaderboard.h"
#include "results/render/board_facts.h"
#include "results/render/leaderboard_table.h"
#include "results/render/typed_table.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

constexpr std::size_t kManyTasks = 5;  // from here on average ranks are shown unasked

struct ScoreColumn {
  const char* name;    // in csv and json
  const char* header;  // for people
  std::optional<Score> LeaderboardRow::*score;
};
struct KindColumns {
  const char* kind;
  const char* label;
  std::optional<Score> LeaderboardRow::*score;
  std::optional<Difference> LeaderboardRow::*difference;
  std::optional<double> LeaderboardRow::*rank;
  std::vector<RankTest> Leaderboard::*ranks;
};

constexpr KindColumns kKinds[] = {
    {"id", "ID", &LeaderboardRow::id, &LeaderboardRow::id_difference, &LeaderboardRow::id_rank, &Leaderboard::id_ranks},
    {"ood", "OOD", &LeaderboardRow::ood, &LeaderboardRow::ood_difference, &LeaderboardRow::ood_rank,
     &Leaderboard::ood_ranks},
};
constexpr ScoreColumn kSummaries[] = {{"harmonic", "harmonic", &LeaderboardRow::harmonic},
                                      {"worst", "worst", &LeaderboardRow::worst},
                                      {"worst_set", "worst set", &LeaderboardRow::worst_set}};

bool shows_kind(const Leaderboard& board, const KindColumns& kind) {
  return board.kind.empty() || board.kind == kind.kind;
}

bool shows_ranks(const Leaderboard& board, const KindColumns& kind, bool asked) {
  const auto& tests = board.*kind.ranks;
  return std::any_of(tests.begin(), tests.end(),
                     [asked](const RankTest& test) { return asked || test.tasks >= kManyTasks; });
}

// Builds the table column by column: a header and what each row has under it.
class TableBuilder {
 public:
  explicit TableBuilder(const Leaderboard& board) : board_(board) { table_.rows.resize(board.rows.size()); }

  template <typename Value>
  void add(TypedTable::Column column, Value&& value) {
    table_.columns.push_back(std::move(column));
    for (std::size_t i = 0; i < board_.rows.size(); ++i) table_.rows[i].push_back(value(board_.rows[i]));
  }
  void add_score(const char* name, const std::string& header, std::optional<Score> LeaderboardRow::*score) {
    add(scaled({.name = name, .header = header, .is_estimate = true}),
        [&](const auto& row) { return table_value(row.*score); });
    add_counts(name, score);
  }
  void add_difference(const KindColumns& kind) {
    const auto of = [&](const auto& row) -> const std::optional<Difference>& { return row.*kind.difference; };
    const std::string name = kind.kind;
    add(scaled({.name = name + "_difference",
                .header = fmt::format("Δ {}", kind.label),
                .is_estimate = true,
                .sign = true}),
        [&](const auto& row) { return of(row) ? table_value(std::optional<Score>(*of(row))) : TableValue(); });
    add_counts(name + "_difference", kind.difference);
    add({.name = name + "_p"}, [&](const auto& row) { return of(row) ? table_value(of(row)->p) : TableValue(); });
    add({.name = name + "_p_holm", .header = fmt::format("p {}", kind.label), .is_p_value = true},
        [&](const auto& row) { return of(row) ? table_value(of(row)->p_holm) : TableValue(); });
    if (board_.paired_samples) add_samples(kind);
    if (!board_.inference.power) return;
    add({.name = name + "_needed", .header = power_header(board_.inference, kind.label)},
        [&](const auto& row) { return of(row) ? count_value(of(row)->needed) : TableValue(); });
  }
  TypedTable take() { return std::move(table_); }

 private:
  void add_samples(const KindColumns& kind) {
    const auto count = [&](std::size_t Difference::Samples::*member) {
      return [&, member](const LeaderboardRow& row) {
        const std::optional<Difference>& difference = row.*kind.difference;
        return difference && difference->samples ? count_value((*difference->samples).*member) : TableValue();
      };
    };
    const std::string name = kind.kind;
    add({.name = name + "_samples"}, count(&Difference::Samples::count));
    add({.name = name + "_won", .header = fmt::format("{} won", kind.label)}, count(&Difference::Samples::won));
    add({.name = name + "_lost", .header = "lost"}, count(&Difference::Samples::lost));
  }
  template <typename Member>
  void add_counts(const std::string& name, Member score) {
    add({.name = name + "_seeds"},
        [&](const auto& row) { return row.*score ? count_value((row.*score)->seeds) : TableValue(); });
    add({.name = name + "_tasks"},
        [&](const auto& row) { return row.*score ? count_value((row.*score)->tasks) : TableValue(); });
  }
  TypedTable::Column scaled(TypedTable::Column column) const {
    column.factor = is_percentage(board_.metric) ? 100.0 : 1.0;
    column.digits = is_percentage(board_.metric) ? 1 : 4;
    return column;
  }

  const Leaderboard& board_;
  TypedTable table_;
};

// Whether some noise came out otherwise than asked for, in the digits shown.
bool realised_differs(const Leaderboard& board, std::size_t ratio_column) {
  return std::any_of(board.rows.begin(), board.rows.end(), [&](const LeaderboardRow& row) {
    return row.noise_rate &&
           fmt::format("{:.3g}", *row.noise_rate) != fmt::format("{:.3g}", row.key[ratio_column].number.value_or(0.0));
  });
}

void add_key_columns(TableBuilder& builder, const Leaderboard& board, bool for_people) {
  for (std::size_t i = 0; i < board.group_by.size(); ++i) {
    const std::string& name = board.group_by[i];
    builder.add(key_column(name), [&, i](const auto& row) { return key_value(row.key[i], for_people); });
    if (name == "noise_ratio" && (!for_people || realised_differs(board, i))) {
      builder.add({.name = "noise_rate", .header = "realised", .digits = 3, .significant = true},
                  [](const auto& row) { return row.noise_rate ? TableValue(*row.noise_rate) : TableValue(); });
    }
  }
}

bool any_incomplete(const Leaderboard& board) {
  return std::any_of(board.rows.begin(), board.rows.end(), [](const auto& row) { return !row.complete; });
}

// Ranks, and who has none. A metric without a direction gives none to anybody.
void add_standing(TableBuilder& builder, const Leaderboard& board, bool for_people) {
  const auto complete = [](const auto& row) { return TableValue(row.complete); };
  if (!for_people) {
    builder.add({.name = "rank"}, [](const auto& row) { return row.rank > 0 ? count_value(row.rank) : TableValue(); });
    builder.add({.name = "complete"}, complete);
  } else if (board.better != Better::neither) {
    builder.add({.name = "#", .header = "#"}, [](const auto& row) {
      const std::string rank = row.rank > 0 ? fmt::to_string(row.rank) : "";
      return TableValue(row.complete ? rank : rank + "*");
    });
  } else if (any_incomplete(board)) {
    builder.add({.name = "complete", .header = "complete"}, complete);
  }
}

TypedTable make_table(const Leaderboard& board, bool for_people, bool ranks) {
  TableBuilder builder(board);
  add_standing(builder, board, for_people);
  add_key_columns(builder, board, for_people);
  for (const KindColumns& kind : kKinds) {
    if (!shows_kind(board, kind)) continue;
    builder.add_score(kind.kind, kind.label, kind.score);
    builder.add({.name = std::string(kind.kind) + "_sampling"}, [&](const auto& row) {
      return row.*kind.score ? table_value((row.*kind.score)->sampling) : TableValue();
    });
    if (!board.baseline.empty()) builder.add_difference(kind);
    const bool shown = shows_ranks(board, kind, ranks);
    if (shown || !for_people) {
      builder.add({.name = std::string(kind.kind) + "_rank", .header = fmt::format("{} rank", kind.label), .digits = 2},
                  [&](const auto& row) { return table_value(row.*kind.rank); });
    }
  }
  for (const ScoreColumn& column : kSummaries) {
    if (!for_people || board.ranked_by == column.name) builder.add_score(column.name, column.header, column.score);
  }
  if (!for_people && !board.chosen_on_test.empty()) {
    builder.add({.name = "chosen_on_test"}, [](const auto& row) { return TableValue(row.chosen_on_test); });
  }
  const auto failed = [](const auto& row) { return count_value(row.failed); };
  builder.add({.name = "cells", .header = "cells"}, [](const auto& row) { return count_value(row.cells); });
  const bool failures =
      std::any_of(board.rows.begin(), board.rows.end(), [](const auto& row) { return row.failed > 0; });
  if (failures || !for_people) builder.add({.name = "failed", .header = "failed"}, failed);
  return builder.take();
}

// "symmetric 0.1: χ² = 4.33, p = 0.294"
std::string result_text(const RankTest& test) {
  std::vector<std::string> condition;
  for (const std::string& value : test.condition) condition.push_back(value.empty() ? "-" : value);
  std::string text = condition.empty() ? "" : fmt::format("{}: ", fmt::join(condition, " "));
  text += fmt::format("χ² = {:.2f}, p {}", test.result.chi_squared,
                      test.p_holm < 0.001 ? "< 0.001" : "= " + p_value_text(test.p_holm));
  if (test.p_holm >= test.result.alpha) return text;
  return text + fmt::format(", ranks {:.2f} apart differ (Nemenyi)", test.result.critical_difference);
}

// "ID rank: ...": how the methods of each condition differ over tasks.
std::string rank_note(const Leaderboard& board, const std::vector<RankTest>& tests, const char* label) {
  std::vector<std::string> results;
  std::set<std::size_t> tasks;
  for (const RankTest& test : tests) {
    results.push_back(result_text(test));
    tasks.insert(test.tasks);
  }
  const std::string within =
      board.condition_columns.empty() ? "" : fmt::format(" of one {}", fmt::join(board.condition_columns, ", "));
  const std::string corrected = tests.size() > 1 ? fmt::format(", Holm-corrected over {}", tests.size()) : "";
  return fmt::format("{} rank: of methods{}; unit: task, n = {}. Friedman's test by permutation{}: {}.", label, within,
                     fmt::join(tasks, " or "), corrected, fmt::join(results, "; "));
}

nlohmann::ordered_json ranks_json(const Leaderboard& board, const std::vector<RankTest>& tests) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const RankTest& test : tests) {
    nlohmann::ordered_json condition = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < test.condition.size(); ++i) condition[board.condition_columns[i]] = test.condition[i];
    list.push_back({{"condition", condition},
                    {"tasks", test.tasks},
                    {"methods", test.methods},
                    {"friedman_chi_squared", test.result.chi_squared},
                    {"friedman_p", test.result.p},
                    {"friedman_p_holm", test.p_holm},
                    {"alpha", test.result.alpha},
                    {"nemenyi_critical_difference", test.result.critical_difference}});
  }
  return list;
}

std::string facts_json(const Leaderboard& board) {
  nlohmann::ordered_json json = facts_of(board);
  if (board.paired_samples) {
    json["unit"] = "sample";
    json["interval"] = "bootstrap";
    json["test"] = "mcnemar";
    json["without_predictions"] = board.without_predictions;
  }
  json["ranked_by"] = board.ranked_by.empty() ? nullptr : nlohmann::ordered_json(board.ranked_by);
  json["id_ranks"] = ranks_json(board, board.id_ranks);
  json["ood_ranks"] = ranks_json(board, board.ood_ranks);
  return one_line(json);
}

std::vector<const Score*> scores_of(const Leaderboard& board) {
  std::vector<const Score*> scores;
  for (const LeaderboardRow& row : board.rows) {
    scores.insert(scores.end(), {pointer_to(row.id), pointer_to(row.ood)});
  }
  return scores;
}

std::string of_samples(const Leaderboard& board, std::size_t Difference::Samples::*member) {
  std::set<std::size_t> counts;
  for (const LeaderboardRow& row : board.rows) {
    for (const auto* difference : {&row.id_difference, &row.ood_difference}) {
      if (*difference && (*difference)->samples) counts.insert((*(*difference)->samples).*member);
    }
  }
  if (counts.size() < 2) return counts.empty() ? "0" : fmt::to_string(*counts.begin());
  return fmt::format("{}-{}", *counts.begin(), *counts.rbegin());
}

// What --paired samples shows.
std::string sample_note(const Leaderboard& board) {
  return fmt::format(
      "Unit of Δ: test sample, n = {} (of {} test sets; all seeds' outcomes on one together, the heads as they are); "
      "[ ]: 95 % bootstrap interval; p: McNemar's test, exact for one head each, clustered for several, Holm-corrected "
      "over the rows. Won, lost: samples that a row's heads get right more often, and less often, than the "
      "baseline's. Scores: ± 95 % t interval over seeds, as without --paired.",
      of_samples(board, &Difference::Samples::count), of_samples(board, &Difference::Samples::sets));
}

// The error that intervals over seeds do not have.
std::string sampling_note(const Leaderboard& board) {
  std::vector<std::string> parts;
  for (const KindColumns& kind : kKinds) {
    double most = -1.0;
    for (const LeaderboardRow& row : board.rows) {
      const std::optional<Score>& score = row.*kind.score;
      if (score && score->sampling) most = std::max(most, *score->sampling);
    }
    if (most >= 0.0) parts.push_back(fmt::format("± {:.1f} {}", 100.0 * most, kind.label));
  }
  if (parts.empty()) return "";
  return fmt::format("Other samples for the test sets would move a score by up to {} (95 %, binomial), beside that.",
                     fmt::join(parts, ", "));
}

std::vector<std::string> all_notes(const Leaderboard& board, bool ranks) {
  const bool tested = has_any(differences_of(board));
  std::vector<std::string> lines{"Mean over tasks of means over seeds of the mean over test sets."};
  if (tested) lines.front() += fmt::format(" Δ: minus {}, paired by all else.", board.baseline);
  if (board.paired_samples) lines.push_back(sample_note(board));
  if (!board.paired_samples)
    lines.push_back(
        inference_note(board.inference, tested ? differences_of(board) : scores_of(board), tested ? "the rows" : ""));
  if (board.inference.unit != SamplingUnit::seed && !board.ranked_by.empty() && board.ranked_by != "id" &&
      board.ranked_by != "ood") {
    lines.push_back(fmt::format("{} is made within seeds and has no interval over other units.", board.ranked_by));
  }
  if (tested && board.inference.power) lines.push_back(power_note(board.inference));
  for (const KindColumns& kind : kKinds) {
    if (shows_kind(board, kind) && shows_ranks(board, kind, ranks)) {
      lines.push_back(rank_note(board, board.*kind.ranks, kind.label));
    }
  }
  for (const std::string& line :
       {sampling_note(board), board.without_predictions, board.chosen_on_test, board.seeds_vary, board.spectra,
        board.unmeasured, board.superseded, left_out_note(scores_of(board))}) {
    if (!line.empty()) lines.push_back(line);
  }
  if (any_incomplete(board)) {
    lines.push_back(
        fmt::format("{} Incomplete: not measured on every task, test set, seed and fraction that others were.",
                    board.better == Better::neither ? "no:" : "*"));
  }
  return lines;
}

}  // namespace

std::vector<const Score*> differences_of(const Leaderboard& board) {
  std::vector<const Score*> scores;
  for (const LeaderboardRow& row : board.rows) {
    scores.insert(scores.end(), {pointer_to(row.id_difference), pointer_to(row.ood_difference)});
  }
  return scores;
}

TextTable table_for_people(const Leaderboard& board) {
  return for_people(make_table(board, true, false));
}

std::string title(const Leaderboard& board) {
  return fmt::format("{}: {}", fmt::join(board.matrices, ", "), described(board.metric));
}

std::vector<std::string> notes(const Leaderboard& board) {
  return all_notes(board, false);
}

std::string render(const Leaderboard& board, TableFormat format, bool colour, bool ranks) {
  const bool people = is_for_people(format);
  return render(Page{title(board), make_table(board, people, ranks), all_notes(board, ranks), facts_json(board)},
                format, colour);
}

}  // namespace nmlbench
