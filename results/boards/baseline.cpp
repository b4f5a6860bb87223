#include "results/boards/baseline.h"

#include "records/setting_labels.h"
#include "results/boards/selection.h"

#include <nmlbench/error.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// Columns that may differ between a baseline and what it is compared with.
std::vector<Field> free_fields(Field baseline) {
  std::vector<Field> fields{baseline};
  if (baseline == Field::tuner) fields.push_back(Field::tuner_params);
  if (baseline == Field::encoder) fields.push_back(Field::encoder_params);
  if (baseline == Field::noise_ratio) fields.push_back(Field::noise);  // nothing corrupted: no noise model
  if (baseline == Field::task_noise_ratio) fields.push_back(Field::task_noise);
  return fields;
}

// All others that identify a measurement.
std::vector<Field> pairing_fields(Field baseline) {
  std::vector<Field> fields;
  for (const Field field :
       {Field::encoder, Field::encoder_params, Field::pretrain_dataset, Field::noise, Field::noise_ratio, Field::task,
        Field::task_noise, Field::task_noise_ratio, Field::fraction, Field::seed, Field::test_set, Field::test_kind,
        Field::tuner, Field::tuner_params}) {
    if (!contains(free_fields(baseline), field)) fields.push_back(field);
  }
  return fields;
}

// Of several settings boards may print one without a label: the name alone is that one, not all.
void choose_setting(const Observations& data, BaselineChoice& choice, const std::string& text,
                    const std::string& asked) {
  if (choice.field != Field::tuner && choice.field != Field::encoder) return;
  const std::set<std::string> settings = Labels(data).settings(choice.field, choice.value);
  if (settings.size() < 2 && !choice.label) return;
  if (!choice.label) choice.label = "";
  if (settings.count(*choice.label) > 0) return;
  const std::string name = (choice.field == Field::encoder ? "encoder=" : "") + choice.value;
  std::vector<std::string> labels;
  for (const std::string& setting : settings) labels.push_back(with_setting(name, setting));
  throw Error(fmt::format("{} {}: {}; name one: {}", asked, text,
                          settings.size() > 1 ? choice.value + " has several settings" : "there is no such setting",
                          fmt::join(labels, " | ")));
}

// Of two cells that share everything that a baseline is paired by, which column tells them apart.
std::string how_to_choose(const Observations& data, const Observation& a, const Observation& b) {
  const std::optional<Field> field = first_difference(data, a, b);
  if (!field) return "; choose one with --where";
  return fmt::format("; they differ in {0}: choose one with --where {0}={1}", data.name(*field), data.text(a, *field));
}

}  // namespace

bool BaselineChoice::matches(const Observations& data, const Labels& labels, const Observation& row) const {
  if (data.text(row, field) != value) return false;
  if (field == Field::noise_ratio && value == "0") return is_clean(data, row);
  return !label || labels(row, parameters_of(field)) == *label;
}

BaselineChoice parse_baseline(const Observations& data, const std::string& text, const std::string& asked) {
  BaselineChoice choice{Field::tuner, text};
  const std::size_t equals = text.find('='), opening = text.find(" (");
  if (equals != std::string::npos && (opening == std::string::npos || equals < opening)) {
    choice = {data.field_named(text.substr(0, equals)), text.substr(equals + 1)};
  }
  const std::vector<std::string> known = data.distinct(choice.field);
  const std::size_t label = choice.value.find(" (");
  if (std::find(known.begin(), known.end(), choice.value) == known.end() && label != std::string::npos &&
      choice.value.ends_with(')')) {
    choice.label = choice.value.substr(label + 2, choice.value.size() - label - 3);
    choice.value.resize(label);
  }
  require_one_of(std::string(data.name(choice.field)).c_str(), choice.value, known);
  choose_setting(data, choice, text, asked);
  return choice;
}

Baseline::Baseline(const Observations& data, const std::vector<Field>& grouped, const std::string& text,
                   const std::string& asked)
    : data_(data),
      labels_(data),
      choice_(parse_baseline(data, text, asked)),
      paired_by_(pairing(text, asked)),
      pairs_(data, paired_by_) {
  if (!contains(grouped, choice_.field)) {
    throw Error(fmt::format("{} {} needs {} in --group-by", asked, text, data.name(choice_.field)));
  }
  for (const Observation& row : data.rows) {
    if (!choice_.matches(data, labels_, row)) continue;
    const auto [pair, is_new] = values_.try_emplace(pairs_(row), row);
    if (is_new || pair->second.value == row.value)
      continue;  // clean pre-training is the same whatever model corrupted nothing
    throw Error(fmt::format("{} {}: it has two cells of task {}, seed {} on test set {}{}", asked, text,
                            data.text(row, Field::task), data.text(row, Field::seed), data.text(row, Field::test_set),
                            how_to_choose(data, pair->second, row)));
  }
}

// What tells the baseline's own cells apart has to agree, too.
std::vector<Field> Baseline::pairing(const std::string& text, const std::string& asked) const {
  Observations own = data_;
  std::erase_if(own.rows, [&](const Observation& row) { return !choice_.matches(data_, labels_, row); });
  std::vector<Field> fields = pairing_fields(choice_.field);
  if (choice_.field == Field::noise_ratio) fields.push_back(Field::noise);
  fields = told_apart(own, std::move(fields));
  if (choice_.field == Field::noise_ratio) std::erase(fields, Field::noise);
  for (const Field field : free_fields(choice_.field)) {
    if (contains(fields, field))
      throw Error(fmt::format("{} {}: it has several cells of one measurement", asked, text));
  }
  return fields;
}

std::vector<MeasuredPair> Baseline::pairs(const Group& group, std::string_view kind) {
  const std::uint32_t wanted = data_.id_of(Field::test_kind, kind);
  std::vector<MeasuredPair> pairs;
  for (const Observation& row : group.done) {
    if (data_.id(row, Field::test_kind) != wanted) continue;
    const auto baseline = values_.find(pairs_(row));
    if (baseline != values_.end()) pairs.push_back({row, baseline->second});
  }
  return pairs;
}

TaskSeedMeans Baseline::differences(const Group& group, std::string_view kind) {
  struct Sum {
    double total = 0.0, count = 0.0;
  };
  std::map<TaskSeed, Sum> sums;
  for (const auto& [row, baseline] : pairs(group, kind)) {
    Sum& sum = sums[{data_.id(row, Field::task), data_.id(row, Field::seed)}];
    sum.total += row.value - baseline.value;
    sum.count += 1.0;
  }
  TaskSeedMeans means;
  for (const auto& [where, sum] : sums) means.emplace(where, sum.total / sum.count);
  return means;
}

std::vector<const Group*> noisiest_groups(const Observations& data, const Grouping& grouping, const Baseline& clean) {
  std::map<std::pair<std::string, std::string>, const Group*> noisiest;
  const auto rate = [&](const Group& group) { return noise_rate(data, group).value_or(-1.0); };
  for (const Group& group : grouping.groups) {
    if (group.done.empty() || clean.is_baseline(group)) continue;
    const Group*& most = noisiest[{data.text(group.example, Field::task), data.text(group.example, Field::noise)}];
    if (most == nullptr || rate(group) > rate(*most)) most = &group;
  }
  std::vector<const Group*> groups;
  for (const auto& [key, group] : noisiest) groups.push_back(group);
  return groups;
}

}  // namespace nmlbench
