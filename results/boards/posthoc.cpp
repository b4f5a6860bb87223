#include "results/boards/posthoc.h"

#include "results/boards/calibration.h"
#include "results/boards/measurement_facts.h"
#include "results/boards/scores.h"
#include "results/boards/selection.h"
#include "results/query/grouping.h"
#include "results/query/oracle.h"
#include "results/store/database.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace nmlbench {

namespace {

constexpr std::array kChanges = {&PosthocRow::accuracy, &PosthocRow::loss, &PosthocRow::ece};

std::array<double, kChanges.size()> values_of(const ProbabilityScores& scores) {
  return {scores.accuracy, scores.loss, scores.ece};
}

// Scores of one row of the board, by task and seed: each the mean of what is added.
class RowScores {
 public:
  void add(TaskSeed where, const ProbabilityScores& before, const ProbabilityScores& after) {
    Sums& sums = sums_[where];
    sums.count += 1.0;
    for (std::size_t i = 0; i < kChanges.size(); ++i) {
      sums.before[i] += values_of(before)[i];
      sums.after[i] += values_of(after)[i];
    }
  }
  void write(PosthocRow& row) const {
    for (std::size_t i = 0; i < kChanges.size(); ++i) {
      TaskSeedMeans before, after;
      for (const auto& [where, sums] : sums_) {
        before.emplace(where, sums.before[i] / sums.count);
        after.emplace(where, sums.after[i] / sums.count);
      }
      row.*kChanges[i] = {score_of(before, Inference()), score_of(after, Inference())};
    }
  }
  bool empty() const { return sums_.empty(); }

 private:
  struct Sums {
    std::array<double, kChanges.size()> before{}, after{};
    double count = 0.0;
  };
  std::map<TaskSeed, Sums> sums_;
};

class PosthocBuilder {
 public:
  PosthocBuilder(const Store& store, const Observations& data, PosthocBoard& board)
      : data_(data), reader_(store), board_(board) {}

  // Of the observations of a group on one kind of test set.
  std::optional<PosthocRow> row_of(const std::vector<Observation>& heads) {
    PosthocRow row;
    RowScores scores;
    board_.heads += heads.size();
    if (board_.asked.what == Posthoc::What::temperature) {
      scale(heads, row, scores);
    } else {
      vote(heads, row, scores);
    }
    if (scores.empty()) return std::nullopt;
    scores.write(row);
    return row;
  }

 private:
  bool is_over(const char* column) const {
    return std::find(board_.asked.over.begin(), board_.asked.over.end(), column) != board_.asked.over.end();
  }
  std::uint32_t id(const Observation& row, Field field) const { return data_.id(row, field); }

  std::optional<ClassProbabilities> read(const Observation& head) {
    auto given = reader_.of_test_set(data_.text(head, Field::cell_id), data_.text(head, Field::test_set));
    board_.without += given ? 0 : 1;
    return given;
  }

  // Nothing, and counted, where no row was held out or where none is the best.
  std::optional<double> temperature_of(const Observation& head) {
    const auto [known, is_new] = temperatures_.try_emplace(id(head, Field::cell_id));
    if (is_new) {
      const std::vector<ClassProbabilities> parts = reader_.held_out(data_.text(head, Field::cell_id));
      known->second = {!parts.empty(), fit_temperature(parts)};
    }
    const auto& [has_rows, temperature] = known->second;
    board_.without_held_out += has_rows ? 0 : 1;
    board_.without_temperature += has_rows && !temperature ? 1 : 0;
    return temperature;
  }

  void scale(const std::vector<Observation>& heads, PosthocRow& row, RowScores& scores) {
    std::map<std::uint32_t, double> log_temperatures;  // by cell
    for (const Observation& head : heads) {
      const std::optional<ClassProbabilities> given = read(head);
      if (!given) continue;
      const std::optional<double> temperature = temperature_of(head);
      if (!temperature) continue;
      log_temperatures.emplace(head.cell, std::log(*temperature));
      scores.add({id(head, Field::task), id(head, Field::seed)}, score_probabilities(*given),
                 score_probabilities(*given, *temperature));
    }
    row.heads = log_temperatures.size();
    double sum = 0.0;
    for (const auto& [cell, value] : log_temperatures) sum += value;
    if (row.heads > 0) row.temperature = std::exp(sum / static_cast<double>(row.heads));
  }

  // The heads that vote together, by task, seed and test set.
  using Electorates = std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, std::vector<Observation>>;

  void vote(const std::vector<Observation>& heads, PosthocRow& row, RowScores& scores) {
    Electorates electorates;
    for (const Observation& head : heads)
      electorates[{id(head, Field::task), is_over("seed") ? 0 : id(head, Field::seed), head.test_set}].push_back(head);
    std::set<std::uint32_t> cells;
    for (const auto& [key, voters] : electorates) {
      const auto [task, seed, test_set] = key;
      std::vector<ClassProbabilities> members;
      std::set<std::uint32_t> cells_of_members;
      for (const Observation& voter : voters) {
        auto given = read(voter);
        if (!given) continue;
        members.push_back(*std::move(given));
        cells_of_members.insert(voter.cell);
      }
      const bool same_samples = std::all_of(members.begin(), members.end(), [&](const ClassProbabilities& member) {
        return member.samples->digest == members.front().samples->digest;
      });
      if (members.size() < 2 || !same_samples) {
        board_.alone += members.size();
        continue;
      }
      const ProbabilityScores after = score_probabilities(soft_vote(members));
      scores.add({task, seed}, mean_of(members), after);
      row.most_members = std::max(row.most_members, members.size());
      row.least_members = row.least_members == 0 ? members.size() : std::min(row.least_members, members.size());
      cells.merge(cells_of_members);
    }
    row.heads = cells.size();
  }

  static ProbabilityScores mean_of(const std::vector<ClassProbabilities>& members) {
    ProbabilityScores mean;
    for (const ClassProbabilities& member : members) {
      const ProbabilityScores own = score_probabilities(member);
      const double weight = 1.0 / static_cast<double>(members.size());
      mean.accuracy += weight * own.accuracy;
      mean.loss += weight * own.loss;
      mean.ece += weight * own.ece;
    }
    return mean;
  }

  const Observations& data_;
  ProbabilityReader reader_;
  PosthocBoard& board_;
  std::map<std::uint32_t, std::pair<bool, std::optional<double>>> temperatures_;  // by cell: rows were held out, T
};

void require_columns(const Posthoc& asked) {
  for (const std::string& column : asked.over) {
    if (column != "seed" && column != "tuner")
      throw Error(fmt::format("--over {}: heads of an ensemble may differ in seed, tuner or both", column));
  }
}

// Members of one ensemble are in one group, whatever their tuner.
std::vector<Field> fields_of(const Observations& data, const LeaderboardQuery& query, const Posthoc& asked) {
  std::vector<Field> fields = grouping_fields(data, query.group_by);
  if (asked.what == Posthoc::What::temperature) return fields;
  for (const std::string& column : asked.over) {
    std::erase_if(fields, [&](Field field) {
      const Field origin = data.origin(field);
      return column == "seed"
                 ? origin == Field::seed
                 : origin == Field::tuner || origin == Field::tuner_params || origin == nmlbench::field("selection");
    });
  }
  return fields;
}

[[noreturn]] void refuse(const PosthocBoard& board) {
  if (board.heads == 0) throw Error("no finished cells match; use fewer filters");
  if (board.without == board.heads)
    throw Error(
        "no cell keeps probabilities; run the matrix with --keep-probabilities, into another database where its cells "
        "are done already, and merge that");
  if (board.asked.what == Posthoc::What::ensemble)
    throw Error("no two heads with kept probabilities can vote together; choose others with --over or --where");
  if (board.without_held_out > 0)
    throw Error(
        "a temperature is fitted on training rows that were held out: no cell with kept probabilities has any; choose "
        "its tuner's parameters by [selection] with rule = \"holdout\" or \"k-fold\"");
  throw Error("no temperature is the best for any cell: its held-out rows are all right, or none better than chance");
}

PosthocBoard build_posthoc(const Store& store, const LeaderboardQuery& query, const Posthoc& asked) {
  const Observations data = select_observations(store, query);
  const Grouping grouping = group_rows(data, fields_of(data, query, asked));
  PosthocBoard board;
  describe(board, store, query);
  board.asked = asked;
  board.matrices = data.distinct(Field::matrix);
  board.chosen_on_test = oracle_note(data);
  for (const Field field : grouping.fields) board.group_by.emplace_back(data.name(field));
  const Labels labels(data, grouping.fields);
  PosthocBuilder builder(store, data, board);
  for (const Group& group : grouping.groups) {
    for (const char* kind : {"id", "ood"}) {
      std::vector<Observation> heads;
      std::copy_if(group.done.begin(), group.done.end(), std::back_inserter(heads),
                   [&](const Observation& row) { return data.text(row, Field::test_kind) == kind; });
      std::optional<PosthocRow> row = builder.row_of(heads);
      if (!row) continue;
      row->kind = kind;
      row->key = labels.key(group.example, grouping.fields);
      board.rows.push_back(*std::move(row));
    }
  }
  if (board.rows.empty()) refuse(board);
  std::stable_sort(board.rows.begin(), board.rows.end(), [](const PosthocRow& a, const PosthocRow& b) {
    return std::tie(a.kind, a.key) < std::tie(b.kind, b.key);
  });
  return board;
}

}  // namespace

PosthocBoard query_posthoc(const Store& store, LeaderboardQuery query, const Posthoc& asked) {
  require_columns(asked);
  query.metric = "loss";  // which every head has
  query.names_of_cells = true;
  return with_database_errors(store.impl().file, [&] { return build_posthoc(store, query, asked); });
}

}  // namespace nmlbench
