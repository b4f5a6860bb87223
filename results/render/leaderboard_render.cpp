#include "results/boards/leaderboard.h"
#include "results/query/observations.h"
#include "results/render/leaderboard_table.h"
#include "results/render/typed_table.h"

#include <algorithm>

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
  std::optional<RankTest> Leaderboard::*ranks;
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
  const auto& ranks = board.*kind.ranks;
  return ranks && (asked || ranks->tasks >= kManyTasks);
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
    add({.name = std::string(name) + "_seeds"}, [&](const auto& row) {
      return row.*score ? TableValue(static_cast<std::int64_t>((row.*score)->seeds)) : TableValue();
    });
  }
  void add_difference(const KindColumns& kind) {
    const auto of = [&](const auto& row) -> const std::optional<Difference>& { return row.*kind.difference; };
    const std::string name = kind.kind;
    add(scaled({.name = name + "_difference",
                .header = fmt::format("Δ {}", kind.label),
                .is_estimate = true,
                .sign = true}),
        [&](const auto& row) { return of(row) ? table_value(std::optional<Score>(*of(row))) : TableValue(); });
    add({.name = name + "_pairs"}, [&](const auto& row) {
      return of(row) ? TableValue(static_cast<std::int64_t>(of(row)->pairs)) : TableValue();
    });
    add({.name = name + "_p"}, [&](const auto& row) { return of(row) ? table_value(of(row)->p) : TableValue(); });
    add({.name = name + "_p_holm", .header = fmt::format("p {}", kind.label), .is_p_value = true},
        [&](const auto& row) { return of(row) ? table_value(of(row)->p_holm) : TableValue(); });
  }
  TypedTable take() { return std::move(table_); }

 private:
  TypedTable::Column scaled(TypedTable::Column column) const {
    column.factor = is_percentage(board_.metric) ? 100.0 : 1.0;
    column.digits = is_percentage(board_.metric) ? 1 : 4;
    return column;
  }

  const Leaderboard& board_;
  TypedTable table_;
};

// A value of a group-by column: a number where the column is numeric, so that programs need not parse it.
TableValue key_value(const LeaderboardRow& row, std::size_t i, bool numeric, bool for_people) {
  if (!numeric) return for_people ? row.labels[i] : row.key[i];
  const auto number = nlohmann::json::parse(row.key[i], nullptr, false);
  if (number.is_number_integer()) return number.get<std::int64_t>();
  return number.is_number() ? TableValue(number.get<double>()) : TableValue(row.key[i]);
}

void add_key_columns(TableBuilder& builder, const Leaderboard& board, bool for_people) {
  for (std::size_t i = 0; i < board.group_by.size(); ++i) {
    const std::string& name = board.group_by[i];
    const bool numeric = is_numeric(field_named(name));
    builder.add({.name = name, .header = name, .digits = 6, .significant = true},
                [&, i](const auto& row) { return key_value(row, i, numeric, for_people); });
  }
}

TypedTable make_table(const Leaderboard& board, bool for_people, bool ranks) {
  TableBuilder builder(board);
  if (for_people) {
    builder.add({.name = "#", .header = "#"}, [](const auto& row) {
      const std::string rank = row.rank > 0 ? fmt::to_string(row.rank) : "";
      return TableValue(row.complete ? rank : rank + "*");
    });
  } else {
    builder.add({.name = "rank"}, [](const auto& row) {
      return row.rank > 0 ? TableValue(static_cast<std::int64_t>(row.rank)) : TableValue();
    });
    builder.add({.name = "complete"}, [](const auto& row) { return TableValue(row.complete); });
  }
  add_key_columns(builder, board, for_people);
  for (const KindColumns& kind : kKinds) {
    if (!shows_kind(board, kind)) continue;
    builder.add_score(kind.kind, kind.label, kind.score);
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
  const auto failed = [](const auto& row) { return TableValue(static_cast<std::int64_t>(row.failed)); };
  builder.add({.name = "cells", .header = "cells"},
              [](const auto& row) { return TableValue(static_cast<std::int64_t>(row.cells)); });
  const bool failures =
      std::any_of(board.rows.begin(), board.rows.end(), [](const auto& row) { return row.failed > 0; });
  if (failures || !for_people) builder.add({.name = "failed", .header = "failed"}, failed);
  return builder.take();
}

std::string seeds_text(const Leaderboard& board) {
  std::size_t least = 0, most = 0;
  for (const LeaderboardRow& row : board.rows) {
    for (const auto* score : {&row.id, &row.ood}) {
      if (!*score) continue;
      least = least == 0 ? (*score)->seeds : std::min(least, (*score)->seeds);
      most = std::max(most, (*score)->seeds);
    }
  }
  return least == most ? fmt::format("{} seed{}", most, most == 1 ? "" : "s") : fmt::format("{}-{} seeds", least, most);
}

std::string rank_note(const RankTest& test, const char* label) {
  return fmt::format(
      "{} rank: average over {} tasks. Friedman: χ² = {:.2f}, p {}; average ranks of the {} groups that differ "
      "by less than {:.2f} (Nemenyi, α = 0.05) are not told apart.",
      label, test.tasks, test.result.chi_squared,
      test.result.p < 0.001 ? "< 0.001" : "= " + p_value_text(test.result.p), test.groups,
      test.result.critical_difference);
}

const char* name_of(IntervalMethod method) {
  return method == IntervalMethod::student_t ? "t" : "bootstrap";
}

nlohmann::ordered_json ranks_json(const std::optional<RankTest>& test) {
  if (!test) return nullptr;
  nlohmann::ordered_json json{{"tasks", test->tasks},
                              {"groups", test->groups},
                              {"friedman_chi_squared", test->result.chi_squared},
                              {"friedman_p", test->result.p},
                              {"iman_davenport_f", nullptr},
                              {"iman_davenport_p", test->result.p_f},
                              {"alpha", test->result.alpha},
                              {"nemenyi_critical_difference", test->result.critical_difference}};
  if (std::isfinite(test->result.f)) json["iman_davenport_f"] = test->result.f;
  return json;
}

std::string facts_json(const Leaderboard& board) {
  const nlohmann::ordered_json json{
      {"metric", board.metric},
      {"higher_is_better", board.higher_is_better},
      {"matrices", board.matrices},
      {"baseline", board.baseline.empty() ? nullptr : nlohmann::ordered_json(board.baseline)},
      {"group_by", board.group_by},
      {"ranked_by", board.ranked_by},
      {"interval", name_of(board.interval)},
      {"test", board.test == PairedTest::student_t ? "t" : "wilcoxon"},
      {"id_ranks", ranks_json(board.id_ranks)},
      {"ood_ranks", ranks_json(board.ood_ranks)}};
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::vector<std::string> all_notes(const Leaderboard& board, bool ranks) {
  std::vector<std::string> lines{fmt::format(
      "Mean over tasks of means over seeds ({}) of the mean over test sets; {}: 95 % {} interval over seeds.",
      seeds_text(board), board.interval == IntervalMethod::student_t ? "±" : "[ ]", name_of(board.interval))};
  if (!board.baseline.empty()) {
    lines.push_back(fmt::format(
        "Δ: paired difference to {} on shared (task, seed) pairs; p: {}, Holm-corrected over "
        "the rows.",
        board.baseline, board.test == PairedTest::student_t ? "paired t test" : "Wilcoxon signed-rank test"));
  }
  for (const KindColumns& kind : kKinds) {
    if (shows_kind(board, kind) && shows_ranks(board, kind, ranks)) {
      lines.push_back(rank_note(*(board.*kind.ranks), kind.label));
    }
  }
  if (std::any_of(board.rows.begin(), board.rows.end(), [](const auto& row) { return !row.complete; })) {
    lines.push_back("* Incomplete: not measured on every task, test set, seed and fraction that others were.");
  }
  return lines;
}

}  // namespace

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
  const bool people = format != TableFormat::csv && format != TableFormat::json;
  return render(Page{title(board), make_table(board, people, ranks), all_notes(board, ranks), facts_json(board)},
                format, colour);
}

}  // namespace nmlbench
