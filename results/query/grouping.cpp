#include "results/query/grouping.h"

#include "records/setting_labels.h"
#include "results/query/oracle.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// Columns of parameters, and whose they are: labels say what differs between those of one owner.
constexpr std::pair<Field, Field> kOwnedParameters[] = {{Field::tuner, Field::tuner_params},
                                                        {Field::encoder, Field::encoder_params},
                                                        {Field::pretrain_dataset, field("pretrain_params")},
                                                        {Field::encoder, field("recipe")},
                                                        {Field::task, field("task_params")},
                                                        {Field::matrix, field("protocol")},
                                                        {Field::tuner, field("selection")}};

// What tells cells of one task, seed and test set apart, in the order in which boards show it: what is listed, then
// every other column of a cell's identity.
const std::vector<Field>& distinguishing_fields() {
  static const std::vector<Field> kFields = [] {
    std::vector<Field> fields = {Field::matrix,
                                 Field::encoder,
                                 Field::encoder_params,
                                 Field::pretrain_dataset,
                                 field("pretrain_params"),
                                 field("recipe"),
                                 Field::tuner,
                                 Field::tuner_params,
                                 Field::noise,
                                 Field::noise_ratio,
                                 Field::fraction};
    for (std::size_t i = 0; i < kFieldCount; ++i) {
      const Field field(i);
      if (field.column().identity && field != Field::task && field != Field::seed && !contains(fields, field))
        fields.push_back(field);
    }
    return fields;
  }();
  return kFields;
}

constexpr const char* kUnknown = "unknown";  // what people read for a number that nobody knows

template <typename Function>
void for_each_row(const Observations& data, Function function) {
  for (const Observation& row : data.rows) function(row);
  for (const Observation& row : data.failed) function(row);
}

// Whether one value of `owner` (a tuner) comes with several values of `parameters` (its settings).
bool has_variants(const Observations& data, Field owner, Field parameters) {
  std::unordered_map<std::uint32_t, std::uint32_t> first;
  bool several = false;
  std::uint32_t last_cell = ~0U;
  for_each_row(data, [&](const Observation& row) {
    if (row.cell == last_cell) return;  // the rows of a cell come together
    last_cell = row.cell;
    several |=
        first.try_emplace(data.id(row, owner), data.id(row, parameters)).first->second != data.id(row, parameters);
  });
  return several;
}

std::size_t place_of(Field field) {
  const std::vector<Field>& all = distinguishing_fields();
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), field) - all.begin());
}

using TwoRows = std::pair<Observation, Observation>;

// Two cells in one group of `fields` that have a task, seed and test set in common.
std::optional<TwoRows> two_of_one_measurement(const Observations& data, std::vector<Field> fields) {
  for (const Field field : {Field::task, Field::seed, Field::test_set, Field::test_kind}) {
    if (!contains(fields, field)) fields.push_back(field);
  }
  KeyIndex index(data, fields);
  std::vector<const Observation*> first;
  for (const Observation& row : data.rows) {
    const std::uint32_t number = index(row);
    if (number == first.size()) {
      first.push_back(&row);
    } else if (first[number]->cell != row.cell) {
      return TwoRows{*first[number], row};
    }
  }
  return std::nullopt;
}

// The realised rate, or the ratio that was asked for where that is not known.
std::optional<double> rate_of(const Observations& data, const Observation& row) {
  const std::optional<double> realised = data.number(row, Field::realised_rate);
  return realised ? realised : data.number(row, Field::noise_ratio);
}

// Adds to `fields` the columns that tell such cells apart. Returns two cells that none does, if there are any.
std::optional<TwoRows> tell_apart(const Observations& data, std::vector<Field>& fields) {
  while (const auto pair = two_of_one_measurement(data, fields)) {
    const std::optional<Field> differs = first_difference(data, pair->first, pair->second);  // none of `fields`
    if (!differs) return pair;
    fields.push_back(*differs);
  }
  return std::nullopt;
}

[[noreturn]] void throw_not_told_apart(const Observations& data, const TwoRows& pair) {
  throw Error(fmt::format(
      "two cells are both task {}, seed {}, test set {} of tuner {}, noise {} {}, and no column tells them apart, so "
      "that they cannot be averaged; they come from data or files that changed: leave out --all, or filter with "
      "--where",
      data.text(pair.first, Field::task), data.text(pair.first, Field::seed), data.text(pair.first, Field::test_set),
      data.text(pair.first, Field::tuner), data.text(pair.first, Field::noise),
      data.text(pair.first, Field::noise_ratio)));
}

}  // namespace

std::optional<Field> first_difference(const Observations& data, const Observation& a, const Observation& b) {
  for (const Field field : distinguishing_fields()) {
    if (data.id(a, field) != data.id(b, field)) return field;
  }
  return std::nullopt;
}

std::size_t Group::count_cells() const {
  std::size_t cells = 0;
  std::uint32_t last = ~0U;
  for (const Observation& row : done) {
    cells += row.cell != last ? 1 : 0;
    last = row.cell;
  }
  return cells;
}

bool contains(const std::vector<Field>& fields, Field field) {
  return std::find(fields.begin(), fields.end(), field) != fields.end();
}

std::vector<Field> fields_named(const Observations& data, const std::vector<std::string>& names) {
  std::vector<Field> fields;
  for (const std::string& name : names) {
    const Field field = data.field_named(name);
    if (!contains(fields, field)) fields.push_back(field);
  }
  return fields;
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
  fields = told_apart(data, std::move(fields));
  std::stable_sort(fields.begin(), fields.end(), [](Field a, Field b) { return place_of(a) < place_of(b); });
  return fields;
}

std::vector<Field> told_apart(const Observations& data, std::vector<Field> fields) {
  if (const auto pair = tell_apart(data, fields)) throw_not_told_apart(data, *pair);
  return fields;
}

std::vector<Field> with_oracle(const Observations& data, std::vector<Field> fields) {
  constexpr Field kSelection = field("selection");
  if (!contains(fields, kSelection) && !tuners_by_oracle(data).empty()) fields.push_back(kSelection);
  return fields;
}

std::vector<Field> pooled_by(const Observations& data, std::vector<Field> fields) {
  const auto asked = static_cast<std::ptrdiff_t>(fields.size());
  tell_apart(data, fields);
  fields.erase(fields.begin(), fields.begin() + asked);
  return fields;
}

Field parameters_of(Field owner) {
  return owner == Field::encoder ? Field::encoder_params : Field::tuner_params;
}

std::vector<Field> grouping_fields(const Observations& data, const std::vector<std::string>& asked) {
  return with_oracle(data, asked.empty() ? default_grouping(data) : told_apart(data, fields_named(data, asked)));
}

std::optional<double> noise_rate(const Observations& data, const Group& group) {
  double first = 0.0, sum = 0.0;  // the mean of equal rates is that rate, without rounding
  for (const Observation& row : group.done) {
    const std::optional<double> rate = rate_of(data, row);
    if (!rate) return std::nullopt;
    if (&row == &group.done.front()) first = *rate;
    sum += *rate - first;
  }
  if (group.done.empty()) return std::nullopt;
  return first + sum / static_cast<double>(group.done.size());
}

bool is_clean(const Observations& data, const Observation& row) {
  return rate_of(data, row) == 0.0;
}

Grouping group_rows(const Observations& data, std::vector<Field> fields) {
  Grouping grouping{std::move(fields), {}};
  std::vector<Field> of_cell;
  std::copy_if(grouping.fields.begin(), grouping.fields.end(), std::back_inserter(of_cell),
               [](Field field) { return !is_of_test_set(field); });
  KeyIndex index(data, grouping.fields), cell_index(data, of_cell);
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> groups_of_cells;
  for (const Observation& row : data.rows) {
    const std::uint32_t number = index(row);
    if (number == grouping.groups.size()) {
      grouping.groups.push_back({row, {}, 0});
      groups_of_cells[cell_index(row)].push_back(number);
    }
    grouping.groups[number].done.push_back(row);
  }
  // A failed cell has no test sets: it is missing from every group that its other columns put it in.
  for (const Observation& row : data.failed) {
    std::vector<std::uint32_t>& numbers = groups_of_cells[cell_index(row)];
    if (numbers.empty()) {
      numbers.push_back(static_cast<std::uint32_t>(grouping.groups.size()));
      grouping.groups.push_back({row, {}, 0});
    }
    for (const std::uint32_t number : numbers) ++grouping.groups[number].failed;
  }
  return grouping;
}

CoverageFields coverage_fields(const Observations& data, const std::vector<Field>& columns) {
  CoverageFields fields;
  std::vector<Field> grouped;  // who is grouped by a parameter is grouped by settings
  for (const Field field : columns) grouped.push_back(data.origin(field));
  for (const Field field : {Field::matrix, Field::task, Field::test_set, Field::test_kind, Field::seed, Field::fraction,
                            Field::task_noise, Field::task_noise_ratio}) {
    if (contains(grouped, field)) {
      fields.shared.push_back(field);
    } else if (field != Field::matrix) {
      fields.covered.push_back(field);
    }
  }
  for (const Field field : {Field::encoder, Field::pretrain_dataset, Field::noise_ratio, Field::noise, Field::tuner}) {
    if (!contains(grouped, field)) fields.covered.push_back(field);
  }
  // The settings of a grouped tuner or encoder are its own; those of others belong to what is covered.
  for (const auto& [owner, parameters] : {kOwnedParameters[0], kOwnedParameters[1]}) {
    if (!contains(grouped, owner) && !contains(grouped, parameters)) fields.covered.push_back(parameters);
  }
  return fields;
}

namespace {

// For each group that has any of the rows wanted: whether they cover every combination of `fields` that those of a
// comparable group cover. Groups that have none are true.
template <typename Wanted>
std::vector<bool> covers_all(const Observations& data, const Grouping& grouping, const std::vector<Field>& fields,
                             Wanted wanted) {
  KeyIndex combinations(data, fields), boards(data, coverage_fields(data, grouping.fields).shared);
  std::vector<std::size_t> covered;
  std::vector<std::uint32_t> board_of;
  std::unordered_map<std::uint32_t, std::vector<bool>> all;  // what any group of a board covers
  for (const Group& group : grouping.groups) {
    std::vector<bool> own;
    std::size_t count = 0;
    board_of.push_back(boards(group.example));
    std::vector<bool>& board = all[board_of.back()];
    for (const Observation& row : group.done) {
      if (!wanted(row)) continue;
      const std::uint32_t number = combinations(row);
      if (own.size() <= number) own.resize(number + 1);
      if (board.size() <= number) board.resize(number + 1);
      count += own[number] ? 0 : 1;
      own[number] = board[number] = true;
    }
    covered.push_back(count);
  }
  std::unordered_map<std::uint32_t, std::size_t> most;
  for (const auto& [board, seen] : all) {
    most[board] = static_cast<std::size_t>(std::count(seen.begin(), seen.end(), true));
  }
  std::vector<bool> result;
  for (std::size_t i = 0; i < covered.size(); ++i) result.push_back(covered[i] == 0 || covered[i] == most[board_of[i]]);
  return result;
}

}  // namespace

std::vector<bool> complete_groups(const Observations& data, const Grouping& grouping) {
  // Where nothing was corrupted, the name of the noise model means nothing.
  std::vector<Field> fields = coverage_fields(data, grouping.fields).covered;
  // What each encoder was pre-trained on is its own where it is one thing.
  if (contains(grouping.fields, Field::encoder) && !has_variants(data, Field::encoder, Field::pretrain_dataset)) {
    std::erase(fields, Field::pretrain_dataset);
  }
  std::vector<Field> without_noise = fields;
  std::erase(without_noise, Field::noise);
  std::vector<bool> complete = covers_all(data, grouping, without_noise, [](const Observation&) { return true; });
  if (contains(fields, Field::noise)) {
    const std::vector<bool> noisy =
        covers_all(data, grouping, fields, [&](const Observation& row) { return !is_clean(data, row); });
    for (std::size_t i = 0; i < complete.size(); ++i) complete[i] = complete[i] && noisy[i];
  }
  for (std::size_t i = 0; i < complete.size(); ++i) complete[i] = complete[i] && !grouping.groups[i].done.empty();
  return complete;
}

Labels::Labels(const Observations& data, const std::vector<Field>& shown) : data_(data) {
  for (const auto& [owner, parameters] : kOwnedParameters) {
    KeyIndex index(data, {owner, parameters});
    std::uint32_t seen = 0;
    std::map<std::string, std::set<std::string>> objects;
    for_each_row(data, [&, owner = owner, parameters = parameters](const Observation& row) {
      if (index(row) < seen) return;
      ++seen;
      objects[data.text(row, owner)].insert(data.text(row, parameters));
    });
    std::set<std::string> elsewhere;
    for (const Field field : shown) {
      if (field == parameters || data.origin(field) != parameters) continue;
      const std::string_view name = data.name(field);
      elsewhere.emplace(name.substr(name.find('.') + 1));
    }
    for (const auto& [name, objects_of_owner] : objects) {
      labels_[parameters][name] = setting_labels(objects_of_owner, elsewhere);
      for (auto& [text, label] : labels_[parameters][name]) {
        if (parameters == field("selection") && is_oracle(text)) label = "chosen on test";
      }
    }
  }
}

std::set<std::string> Labels::settings(Field owner, const std::string& name) const {
  std::set<std::string> settings;
  const std::uint32_t id = data_.id_of(owner, name);
  for (const Observation& row : data_.rows) {
    if (data_.id(row, owner) == id) settings.insert((*this)(row, parameters_of(owner)));
  }
  return settings;
}

std::string Labels::operator()(const Observation& row, Field field) const {
  for (const auto& [owner, parameters] : kOwnedParameters) {
    if (field == parameters) return labels_.at(field).at(data_.text(row, owner)).at(data_.text(row, field));
  }
  const std::string& text = data_.text(row, field);
  const bool is_parameter = data_.origin(field) != field;
  return text.empty() && !is_parameter && data_.is_numeric(field) ? kUnknown : text;
}

std::vector<std::uint32_t> Labels::printed_as(Field field, const std::string& label) const {
  std::vector<std::uint32_t> ids;
  const auto add = [&](const std::string& text) {
    const std::uint32_t id = data_.id_of(field, text);
    if (id < data_.dictionaries[field.index()].texts().size()) ids.push_back(id);
  };
  if (data_.is_numeric(field) && label == kUnknown) add("");
  const auto owners = labels_.find(field);
  if (owners == labels_.end()) return ids;
  for (const auto& [owner, of_texts] : owners->second) {
    for (const auto& [text, printed] : of_texts) {
      if (printed == label) add(text);
    }
  }
  return ids;
}

std::vector<KeyValue> Labels::key(const Observation& row, const std::vector<Field>& fields) const {
  std::vector<KeyValue> key;
  for (const Field field : fields) {
    const std::string& text = data_.text(row, field);
    key.push_back({text, data_.number(row, field), (*this)(row, field), !text.empty() || !data_.is_numeric(field)});
  }
  return key;
}

}  // namespace nmlbench
