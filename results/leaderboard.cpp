#include "leaderboard.h"

#include "database.h"
#include "observations.h"
#include "statistics.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <set>
#include <unordered_map>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

// One value of a group, or one paired difference, where it belongs in the average.
struct Sample {
  std::uint32_t task = 0;
  std::uint32_t seed = 0;
  double value = 0.0;
};

struct Group {
  std::vector<const Observation*> done;
  std::size_t failed = 0;
  const Observation* example = nullptr;  // holds the key
};

struct Grouping {
  std::vector<Field> fields;
  std::unordered_map<std::string, Group> groups;
};

bool contains(const std::vector<Field>& fields, Field field) {
  return std::find(fields.begin(), fields.end(), field) != fields.end();
}

double mean_over_tasks(const std::vector<Sample>& samples) {
  std::map<std::uint32_t, std::vector<double>> tasks;
  for (const Sample& sample : samples) tasks[sample.task].push_back(sample.value);
  std::vector<double> means;
  for (const auto& [task, values] : tasks) means.push_back(mean(values));
  return mean(means);
}

std::optional<Score> score_of(const std::vector<Sample>& samples) {
  if (samples.empty()) return std::nullopt;
  std::map<std::uint32_t, std::vector<Sample>> seeds;
  for (const Sample& sample : samples) seeds[sample.seed].push_back(sample);
  std::vector<double> means;
  for (const auto& [seed, values] : seeds) means.push_back(mean_over_tasks(values));
  return Score{mean_over_tasks(samples), t_interval(means), seeds.size()};
}

Sample sample_of(const Observation& row, double value) {
  return {row.id(Field::task), row.id(Field::seed), value};
}

std::vector<Sample> samples_of_kind(const Observations& data, const Group& group, std::string_view kind) {
  std::vector<Sample> samples;
  for (const Observation* row : group.done) {
    if (data.text(*row, Field::test_kind) == kind) samples.push_back(sample_of(*row, row->value));
  }
  return samples;
}

// ---- Choosing rows

double number_in(const std::string& text, Field field) {
  char* end = nullptr;
  errno = 0;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || errno != 0) {
    throw Error(fmt::format("--where {}={}: expected a number", field_name(field), text));
  }
  return number;
}

// Ids of the values of one column that a filter asks for. A value that no row has is an Error.
std::set<std::uint32_t> wanted_ids(const Observations& data, Field field, const std::vector<std::string>& values) {
  const auto& texts = data.dictionaries[static_cast<std::size_t>(field)].texts();
  std::set<std::uint32_t> ids;
  for (const std::string& value : values) {
    const std::size_t before = ids.size();
    for (std::uint32_t id = 0; id < texts.size(); ++id) {
      const bool equal =
          is_numeric(field) ? number_in(texts[id], field) == number_in(value, field) : texts[id] == value;
      if (equal) ids.insert(id);
    }
    if (ids.size() == before) {
      throw Error(fmt::format("no results with {}={}; {} has: {}", field_name(field), value, field_name(field),
                              fmt::join(data.distinct(field), ", ")));
    }
  }
  return ids;
}

void keep_only(Observations& data, Field field, const std::vector<std::string>& values) {
  const std::set<std::uint32_t> ids = wanted_ids(data, field, values);
  std::erase_if(data.rows, [&](const Observation& row) {
    return !(row.failed && is_of_test_set(field)) && ids.count(row.id(field)) == 0;
  });
}

void apply_filters(Observations& data, const LeaderboardQuery& query) {
  if (query.cells) {
    std::erase_if(data.rows,
                  [&](const Observation& row) { return query.cells->count(data.text(row, Field::cell_id)) == 0; });
  }
  std::map<Field, std::vector<std::string>> filters;
  for (const auto& [column, value] : query.where) filters[field_named(column)].push_back(value);
  for (const auto& [field, values] : filters) keep_only(data, field, values);
  if (query.kind.empty()) return;
  if (query.kind != "id" && query.kind != "ood") {
    throw Error(fmt::format("no test kind \"{}\"; expected id or ood", query.kind));
  }
  std::erase_if(data.rows,
                [&](const Observation& row) { return !row.failed && data.text(row, Field::test_kind) != query.kind; });
}

std::vector<std::string> strings(const Store& store, const char* sql) {
  std::vector<std::string> values;
  SQLite::Statement statement(store.impl().db, sql);
  while (statement.executeStep()) values.push_back(statement.getColumn(0).getString());
  return values;
}

void require_one_of(const char* what, const std::string& name, const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  throw Error(fmt::format("no {} \"{}\" in this database; it has: {}", what, name, fmt::join(known, ", ")));
}

Observations select(const Store& store, const LeaderboardQuery& query) {
  const auto matrices = strings(store, "SELECT DISTINCT matrix FROM cells ORDER BY matrix");
  if (matrices.empty()) {
    throw Error(fmt::format("{}: holds no finished cells yet; run `nmlbench run` first", store.impl().file.string()));
  }
  if (!query.matrix.empty()) require_one_of("matrix", query.matrix, matrices);
  const auto metrics = strings(store, "SELECT metric FROM metric_names ORDER BY metric");
  if (!metrics.empty()) require_one_of("metric", query.metric, metrics);
  Observations data = Observations::load(store, query.metric, query.matrix);
  apply_filters(data, query);
  if (data.rows.empty()) {
    throw Error(fmt::format("{}: no cells match; use fewer filters", store.impl().file.string()));
  }
  return data;
}

// ---- Grouping

// Whether one value of `owner` (a tuner) comes with several values of `parameters` (its settings).
bool has_variants(const Observations& data, Field owner, Field parameters) {
  std::unordered_map<std::uint32_t, std::uint32_t> first;
  return std::any_of(data.rows.begin(), data.rows.end(), [&](const Observation& row) {
    return first.try_emplace(row.id(owner), row.id(parameters)).first->second != row.id(parameters);
  });
}

std::vector<Field> default_grouping(const Observations& data) {
  const auto varies = [&](Field field) { return data.distinct(field).size() > 1; };
  std::vector<Field> fields;
  for (const Field field : {Field::matrix, Field::encoder}) {
    if (varies(field)) fields.push_back(field);
  }
  if (has_variants(data, Field::encoder, Field::encoder_params)) fields.push_back(Field::encoder_params);
  if (has_variants(data, Field::encoder, Field::pretrain_dataset)) fields.push_back(Field::pretrain_dataset);
  fields.push_back(Field::tuner);
  if (has_variants(data, Field::tuner, Field::tuner_params)) fields.push_back(Field::tuner_params);
  fields.insert(fields.end(), {Field::noise, Field::noise_ratio});
  if (varies(Field::fraction)) fields.push_back(Field::fraction);
  return fields;
}

Grouping group_rows(const Observations& data, std::vector<Field> fields) {
  Grouping grouping{std::move(fields), {}};
  std::vector<Field> of_cell;
  std::copy_if(grouping.fields.begin(), grouping.fields.end(), std::back_inserter(of_cell),
               [](Field field) { return !is_of_test_set(field); });
  std::unordered_map<std::string, std::vector<Group*>> by_cell_key;
  for (const Observation& row : data.rows) {
    if (row.failed) continue;
    Group& group = grouping.groups[packed_key(row, grouping.fields)];
    if (group.example == nullptr) {
      group.example = &row;
      by_cell_key[packed_key(row, of_cell)].push_back(&group);
    }
    group.done.push_back(&row);
  }
  // A failed cell has no test sets: it is missing from every group that its other columns put it in.
  for (const Observation& row : data.rows) {
    if (!row.failed) continue;
    std::vector<Group*>& groups = by_cell_key[packed_key(row, of_cell)];
    if (groups.empty()) {
      groups.push_back(&grouping.groups[packed_key(row, grouping.fields)]);
      groups.back()->example = &row;
    }
    for (Group* group : groups) ++group->failed;
  }
  return grouping;
}

// ---- Coverage

// Groups are compared only with groups that agree in `shared`; a group covers the combinations of `covered`.
struct CoverageFields {
  std::vector<Field> shared, covered;
};

CoverageFields coverage_fields(const std::vector<Field>& grouped) {
  CoverageFields fields;
  for (const Field field :
       {Field::matrix, Field::task, Field::test_set, Field::test_kind, Field::seed, Field::fraction}) {
    if (contains(grouped, field)) {
      fields.shared.push_back(field);
    } else if (field != Field::matrix) {
      fields.covered.push_back(field);
    }
  }
  for (const Field field :
       {Field::encoder, Field::encoder_params, Field::pretrain_dataset, Field::noise, Field::noise_ratio}) {
    if (!contains(grouped, field)) fields.covered.push_back(field);
  }
  return fields;
}

// The groups that miss something which another group of the same board was measured on.
std::set<const Group*> incomplete_groups(const Grouping& grouping) {
  const CoverageFields fields = coverage_fields(grouping.fields);
  std::unordered_map<std::string, std::set<std::string>> all;
  std::unordered_map<const Group*, std::size_t> covered;
  for (const auto& [key, group] : grouping.groups) {
    std::set<std::string> combinations;
    for (const Observation* row : group.done) combinations.insert(packed_key(*row, fields.covered));
    covered[&group] = combinations.size();
    all[packed_key(*group.example, fields.shared)].merge(combinations);
  }
  std::set<const Group*> incomplete;
  for (const auto& [group, count] : covered) {
    if (count == 0 || count < all[packed_key(*group->example, fields.shared)].size()) incomplete.insert(group);
  }
  return incomplete;
}

// ---- Baseline

// What has to agree between two cells that are paired.
const std::vector<Field>& pairing_fields() {
  static const std::vector<Field> fields{
      Field::encoder,  Field::encoder_params, Field::pretrain_dataset, Field::noise,    Field::noise_ratio, Field::task,
      Field::fraction, Field::seed,           Field::test_set,         Field::test_kind};
  return fields;
}

struct Pair {
  const Observation* example = nullptr;
  std::vector<double> values;
};
using Pairs = std::unordered_map<std::string, Pair>;

void add_to_pairs(Pairs& pairs, const Observation& row) {
  Pair& pair = pairs[packed_key(row, pairing_fields())];
  pair.example = &row;
  pair.values.push_back(row.value);
}

Pairs baseline_pairs(const Observations& data, const std::string& tuner) {
  require_one_of("tuner", tuner, data.distinct(Field::tuner));
  Pairs pairs;
  for (const Observation& row : data.rows) {
    if (!row.failed && data.text(row, Field::tuner) == tuner) add_to_pairs(pairs, row);
  }
  return pairs;
}

std::optional<Score> difference(const Observations& data, const Group& group, const Pairs& baseline,
                                std::string_view kind) {
  Pairs own;
  for (const Observation* row : group.done) {
    if (data.text(*row, Field::test_kind) == kind) add_to_pairs(own, *row);
  }
  std::vector<Sample> samples;
  for (const auto& [key, pair] : own) {
    const auto other = baseline.find(key);
    if (other == baseline.end()) continue;
    samples.push_back(sample_of(*pair.example, mean(pair.values) - mean(other->second.values)));
  }
  return score_of(samples);
}

// ---- Labels

// For each parameter object of one owner, "lr=0.1, depth=2": the parameters in which the owner's objects differ; or
// just the preset, when presets alone tell the objects apart.
std::map<std::string, std::string> shorten(const std::set<std::string>& objects) {
  std::map<std::string, nlohmann::json> parsed;
  std::map<std::string, std::set<std::string>> values;
  for (const std::string& text : objects) {
    nlohmann::json object = nlohmann::json::parse(text, nullptr, false);
    if (!object.is_object()) object = nlohmann::json::object({{"", text}});
    for (const auto& [name, value] : object.items()) values[name].insert(value.dump());
    parsed.emplace(text, std::move(object));
  }
  const bool presets_tell = parsed.size() > 1 && values["preset"].size() == parsed.size();
  std::map<std::string, std::string> labels;
  for (const auto& [text, object] : parsed) {
    if (presets_tell) {
      labels[text] = object.at("preset").get<std::string>();
      continue;
    }
    std::vector<std::string> parts;
    for (const auto& [name, value] : object.items()) {
      const bool everywhere = std::all_of(parsed.begin(), parsed.end(),
                                          [&name = name](const auto& other) { return other.second.contains(name); });
      if (values[name].size() == 1 && everywhere) continue;
      parts.push_back(fmt::format("{}={}", name, value.is_string() ? value.get<std::string>() : value.dump()));
    }
    labels[text] = fmt::format("{}", fmt::join(parts, ", "));
  }
  return labels;
}

class Labels {
 public:
  explicit Labels(const Observations& data) : data_(data) {
    for (const auto& [owner, parameters] : kOwned) {
      std::map<std::string, std::set<std::string>> objects;
      for (const Observation& row : data.rows) objects[data.text(row, owner)].insert(data.text(row, parameters));
      for (const auto& [name, texts] : objects) labels_[parameters][name] = shorten(texts);
    }
  }

  std::string operator()(const Observation& row, Field field) const {
    for (const auto& [owner, parameters] : kOwned) {
      if (field == parameters) return labels_.at(field).at(data_.text(row, owner)).at(data_.text(row, field));
    }
    return data_.text(row, field);
  }

 private:
  static constexpr std::pair<Field, Field> kOwned[] = {{Field::tuner, Field::tuner_params},
                                                       {Field::encoder, Field::encoder_params}};
  const Observations& data_;
  std::map<Field, std::map<std::string, std::map<std::string, std::string>>> labels_;
};

// ---- Ranking

// The score that ranks: the column asked for, else in-domain, else out-of-domain.
bool ranks_by_ood(const Leaderboard& board, const std::string& sort) {
  if (sort == "id" || sort == "ood") return sort == "ood";
  return std::none_of(board.rows.begin(), board.rows.end(), [](const LeaderboardRow& row) { return row.id; });
}

class RowOrder {
 public:
  RowOrder(const Leaderboard& board, const std::vector<Field>& fields, const std::string& sort)
      : fields_(fields), higher_(board.higher_is_better), by_ood_(ranks_by_ood(board, sort)) {}

  const std::optional<Score>& score(const LeaderboardRow& row) const { return by_ood_ ? row.ood : row.id; }

  // Complete groups first, then the best score, then the key.
  bool better(const LeaderboardRow& a, const LeaderboardRow& b) const {
    if (a.complete != b.complete) return a.complete;
    const auto &left = score(a), &right = score(b);
    if (left.has_value() != right.has_value()) return left.has_value();
    if (left && left->mean != right->mean) return (left->mean > right->mean) == higher_;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (a.key[i] != b.key[i]) return value_less(fields_[i], a.key[i], b.key[i]);
    }
    return false;
  }

 private:
  const std::vector<Field>& fields_;
  bool higher_;
  bool by_ood_;
};

// Ranks run within groups that agree in the shared coverage fields: a score on one task says nothing about another.
void rank(Leaderboard& board, const std::vector<Field>& fields, const RowOrder& order) {
  std::sort(board.rows.begin(), board.rows.end(),
            [&](const LeaderboardRow& a, const LeaderboardRow& b) { return order.better(a, b); });
  const std::vector<Field> shared = coverage_fields(fields).shared;
  struct Last {
    std::size_t count = 0;
    const LeaderboardRow* row = nullptr;
  };
  std::map<std::vector<std::string>, Last> boards;
  for (LeaderboardRow& row : board.rows) {
    if (!row.complete || !order.score(row)) continue;
    std::vector<std::string> key;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (contains(shared, fields[i])) key.push_back(row.key[i]);
    }
    Last& last = boards[key];
    ++last.count;
    const bool tied = last.row != nullptr && order.score(*last.row)->mean == order.score(row)->mean;
    row.rank = tied ? last.row->rank : last.count;
    last.row = &row;
  }
}

// Ranked rows into the order of one column; incomplete groups stay last.
void reorder(Leaderboard& board, const std::vector<Field>& fields, const std::string& sort) {
  if (sort.empty() || sort == "id" || sort == "ood") return;
  const auto stable_sort = [&](const auto& before) {
    std::stable_sort(board.rows.begin(), board.rows.end(), [&](const LeaderboardRow& a, const LeaderboardRow& b) {
      return a.complete != b.complete ? a.complete : before(a, b);
    });
  };
  if (sort == "cells") return stable_sort([](const auto& a, const auto& b) { return a.cells > b.cells; });
  if (sort == "failed") return stable_sort([](const auto& a, const auto& b) { return a.failed > b.failed; });
  const auto column = std::find(board.group_by.begin(), board.group_by.end(), sort);
  if (column == board.group_by.end()) {
    throw Error(fmt::format("cannot sort by \"{}\"; columns: id, ood, cells, failed, {}", sort,
                            fmt::join(board.group_by, ", ")));
  }
  const auto i = static_cast<std::size_t>(column - board.group_by.begin());
  stable_sort([&](const auto& a, const auto& b) { return value_less(fields[i], a.key[i], b.key[i]); });
}

std::size_t count_cells(const Group& group) {
  std::set<std::uint32_t> cells;
  for (const Observation* row : group.done) cells.insert(row->id(Field::cell_id));
  return cells.size();
}

std::vector<Field> chosen_grouping(const Observations& data, const LeaderboardQuery& query) {
  std::vector<Field> fields;
  for (const std::string& name : query.group_by) {
    const Field field = field_named(name);
    if (!contains(fields, field)) fields.push_back(field);
  }
  return fields.empty() ? default_grouping(data) : fields;
}

Leaderboard build(const Observations& data, const LeaderboardQuery& query) {
  const Grouping grouping = group_rows(data, chosen_grouping(data, query));
  Leaderboard board{query.metric, higher_is_better(query.metric), query.kind, query.baseline, {}, {}, {}};
  for (const Field field : grouping.fields) board.group_by.emplace_back(field_name(field));
  board.matrices = data.distinct(Field::matrix);

  Pairs baseline;
  if (!query.baseline.empty()) {
    if (!contains(grouping.fields, Field::tuner)) throw Error("--baseline needs tuner in --group-by");
    baseline = baseline_pairs(data, query.baseline);
  }
  const Labels labels(data);
  const std::set<const Group*> incomplete = incomplete_groups(grouping);
  for (const auto& [key, group] : grouping.groups) {
    LeaderboardRow row;
    for (const Field field : grouping.fields) {
      row.key.push_back(data.text(*group.example, field));
      row.labels.push_back(labels(*group.example, field));
    }
    row.id = score_of(samples_of_kind(data, group, "id"));
    row.ood = score_of(samples_of_kind(data, group, "ood"));
    if (!query.baseline.empty() && data.text(*group.example, Field::tuner) != query.baseline) {
      row.id_difference = difference(data, group, baseline, "id");
      row.ood_difference = difference(data, group, baseline, "ood");
    }
    row.cells = count_cells(group);
    row.failed = group.failed;
    row.complete = incomplete.count(&group) == 0;
    board.rows.push_back(std::move(row));
  }
  rank(board, grouping.fields, RowOrder(board, grouping.fields, query.sort));
  reorder(board, grouping.fields, query.sort);
  if (query.top > 0 && board.rows.size() > query.top) board.rows.resize(query.top);
  return board;
}

}  // namespace

bool higher_is_better(std::string_view metric) {
  return metric != "loss" && metric != "ece";
}

bool is_percentage(std::string_view metric) {
  return metric == "accuracy";
}

Leaderboard query_leaderboard(const Store& store, const LeaderboardQuery& query) {
  return with_database_errors(store.impl().file, [&] { return build(select(store, query), query); });
}

std::string render_leaderboard(const Store& store, const LeaderboardQuery& query, TableFormat format, bool colour) {
  return render(query_leaderboard(store, query), format, colour);
}

}  // namespace nmlbench
