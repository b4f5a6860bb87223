#include "results/boards/measurement_facts.h"

#include "results/query/filters.h"
#include "results/store/database.h"
#include "results/store/newest_plan.h"

#include <algorithm>
#include <set>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

const std::vector<std::string> kEncoderColumns{"matrix", "encoder",     "encoder_params", "pretrain_dataset",
                                               "noise",  "noise_ratio", "status"};

// Of the query's filters those that choose encoders: tuners and tasks share them.
Filters of_encoders(const LeaderboardQuery& query) {
  Filters filters{{"status", "done"}};
  for (const auto& filter : query.where) {
    if (std::find(kEncoderColumns.begin(), kEncoderColumns.end(), filter.first) != kEncoderColumns.end())
      filters.push_back(filter);
  }
  if (!query.matrix.empty()) filters.emplace_back("matrix", query.matrix);
  return filters;
}

struct Encoders {
  std::set<std::string> one_for_all_seeds, one_for_each_seed;  // checkpoints
};

Encoders encoders_of(const Store& store, const Filters& filters, bool superseded) {
  SQLite::Statement statement(
      store.impl().db,
      "SELECT encoder, max(seeds) > 1, count(*) > 1 FROM (SELECT source_id, encoder, count(*) AS seeds FROM"
      " (SELECT DISTINCT source_id, encoder, checkpoint_id, seed FROM cells JOIN sources USING (source_id)" +
          where_clause(filters, kEncoderColumns) + (superseded ? "" : " AND NOT superseded") +
          ") GROUP BY source_id, checkpoint_id) GROUP BY source_id");
  bind_filters(statement, filters);
  Encoders encoders;
  while (statement.executeStep()) {
    const std::string encoder = statement.getColumn(0).getString();
    if (statement.getColumn(1).getInt() != 0) {
      encoders.one_for_all_seeds.insert(encoder);
    } else if (statement.getColumn(2).getInt() != 0) {
      encoders.one_for_each_seed.insert(encoder);
    }
  }
  return encoders;
}

// What differs between two seeds, since an interval over seeds says nothing of what they share: a sentence about the
// encoders that the query's matrix and filters leave; "" where no encoder has two seeds.
std::string what_seeds_vary(const Store& store, const LeaderboardQuery& query) {
  const auto [frozen, trained] = encoders_of(store, of_encoders(query), query.superseded);
  const char* of_trained = "pre-training (its noise, start and order), heads and training subsets";
  const char* of_frozen = "heads and training subsets only, the encoder's features being the same for all";
  if (frozen.empty() && trained.empty()) return "";
  if (frozen.empty()) return fmt::format("A seed varies {}.", of_trained);
  if (trained.empty()) return fmt::format("A seed varies {}.", of_frozen);
  return fmt::format("A seed varies {} ({}), or {} ({}).", of_trained, fmt::join(trained, ", "), of_frozen,
                     fmt::join(frozen, ", "));
}

// How many cells the board leaves out because the newest plan of their matrix does not have them, and how many of
// those plans are not here; "" for none. Of the whole database: its filters do not count.
std::string what_newest_plans_say(const Store& store, const LeaderboardQuery& query) {
  if (query.superseded || query.cells) return "";
  std::vector<NewestPlan> plans = newest_plans(store.impl().db);
  std::erase_if(plans, [&](const NewestPlan& plan) { return !query.matrix.empty() && plan.matrix != query.matrix; });
  std::vector<std::string> sentences;
  std::int64_t superseded = 0;
  for (const NewestPlan& plan : plans) superseded += plan.superseded;
  if (superseded > 0)
    sentences.push_back(fmt::format(
        "{} cells that the newest plan of their matrix no longer has are left out; --all shows them.", superseded));
  for (const NewestPlan& plan : plans) {
    if (plan.missing() == 0) continue;
    sentences.push_back(
        fmt::format("{} of the {} cells of the newest plan of {} are not here: run it again, or merge "
                    "all shards.",
                    plan.missing(), plan.cells, plan.matrix));
  }
  return fmt::format("{}", fmt::join(sentences, " "));
}

// Of which rows the spectra are that a metric without a direction describes, and how they were centred: both change its
// values. "" for other metrics, and where no spectra are stored.
std::string what_spectra_are_of(const Store& store, const std::string& metric) {
  if (better(metric) != Better::neither) return "";
  SQLite::Statement statement(store.impl().db,
                              "SELECT group_concat(DISTINCT center), min(samples), max(samples) FROM spectra");
  if (!statement.executeStep() || statement.getColumn(0).isNull()) return "";
  const std::int64_t least = statement.getColumn(1).getInt64(), most = statement.getColumn(2).getInt64();
  return fmt::format("Spectra are centred by {}, of {} of a test set{}.", statement.getColumn(0).getString(),
                     least == most ? fmt::format("{} rows", most) : fmt::format("{} to {} rows", least, most),
                     least == most ? "" : fmt::format(": {} depends on their number, and averages mix them", metric));
}

// On how many test sets there is no such number, of a metric that only some have; "" where all have it.
std::string what_is_unmeasured(const Store& store, const LeaderboardQuery& query) {
  if (!is_measured_where_asked(query.metric)) return "";
  SQLite::Statement statement(
      store.impl().db,
      "SELECT count(DISTINCT test_set_id), count(DISTINCT CASE WHEN metric = ?1 THEN test_set_id END) FROM metrics"
      " JOIN metric_names USING (metric_id) JOIN cells USING (cell) WHERE ?2 = '' OR matrix = ?2");
  statement.bind(1, query.metric);
  statement.bind(2, query.matrix);
  statement.executeStep();
  const std::int64_t all = statement.getColumn(0).getInt64(), with = statement.getColumn(1).getInt64();
  if (with == all) return "";
  return fmt::format(
      "{} is measured on {} of {} test sets; the others, and cells that have none of them, are left out.", query.metric,
      with, all);
}

}  // namespace

void describe(BoardFacts& facts, const Store& store, const LeaderboardQuery& query) {
  facts.metric = query.metric;
  facts.better = better(query.metric);
  facts.kind = query.kind;
  facts.inference = query.inference;
  facts.seeds_vary = what_seeds_vary(store, query);
  facts.superseded = what_newest_plans_say(store, query);
  facts.spectra = what_spectra_are_of(store, query.metric);
  facts.unmeasured = what_is_unmeasured(store, query);
}

}  // namespace nmlbench
