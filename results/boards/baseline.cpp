#include "results/boards/baseline.h"

#include "results/boards/selection.h"

#include <nmlbench/error.h>

#include <set>

#include <fmt/format.h>

namespace nmlbench {

namespace {

// What has to agree between two measurements that are paired: all that identifies one, but the baseline's column and
// what belongs to it.
std::vector<Field> pairing_fields(Field baseline) {
  std::set<Field> free{baseline};
  if (baseline == Field::tuner) free.insert(Field::tuner_params);
  if (baseline == Field::encoder) free.insert(Field::encoder_params);
  if (baseline == Field::noise_ratio) free.insert(Field::noise);  // nothing corrupted: no noise model
  std::vector<Field> fields;
  for (const Field field :
       {Field::encoder, Field::encoder_params, Field::pretrain_dataset, Field::noise, Field::noise_ratio, Field::task,
        Field::fraction, Field::seed, Field::test_set, Field::test_kind, Field::tuner, Field::tuner_params}) {
    if (free.count(field) == 0) fields.push_back(field);
  }
  return fields;
}

struct PairSum {
  double total = 0.0;
  double count = 0.0;
};

}  // namespace

std::pair<Field, std::string> parse_baseline(const Observations& data, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    require_one_of("tuner", text, data.distinct(Field::tuner));
    return {Field::tuner, text};
  }
  const Field field = field_named(text.substr(0, equals));
  const std::string value = text.substr(equals + 1);
  require_one_of(std::string(field_name(field)).c_str(), value, data.distinct(field));
  return {field, value};
}

Baseline::Baseline(const Observations& data, const std::vector<Field>& grouped, const std::string& text)
    : data_(data),
      field_(parse_baseline(data, text).first),
      id_(data.id_of(field_, parse_baseline(data, text).second)),
      pairs_(data, pairing_fields(field_)) {
  if (!contains(grouped, field_)) {
    throw Error(fmt::format("--baseline {} needs {} in --group-by", text, field_name(field_)));
  }
  std::unordered_map<std::uint32_t, PairSum> sums;
  for (const Observation& row : data.rows) {
    if (data.id(row, field_) != id_) continue;
    PairSum& sum = sums[pairs_(row)];
    sum.total += row.value;
    sum.count += 1.0;
  }
  for (const auto& [pair, sum] : sums) values_.emplace(pair, sum.total / sum.count);
}

TaskSeedMeans Baseline::differences(const Group& group, std::string_view kind) {
  const std::uint32_t wanted = data_.id_of(Field::test_kind, kind);
  // Variants within the group (step sizes, say) share a pair: their mean is compared.
  std::map<std::uint32_t, std::pair<TaskSeed, PairSum>> pairs;
  for (const Observation& row : group.done) {
    if (data_.id(row, Field::test_kind) != wanted) continue;
    const std::uint32_t number = pairs_(row);
    if (values_.count(number) == 0) continue;
    auto& [where, sum] = pairs[number];
    where = {data_.id(row, Field::task), data_.id(row, Field::seed)};
    sum.total += row.value;
    sum.count += 1.0;
  }
  std::map<TaskSeed, PairSum> sums;
  for (const auto& [number, pair] : pairs) {
    PairSum& sum = sums[pair.first];
    sum.total += pair.second.total / pair.second.count - values_.at(number);
    sum.count += 1.0;
  }
  TaskSeedMeans means;
  for (const auto& [where, sum] : sums) means.emplace(where, sum.total / sum.count);
  return means;
}

}  // namespace nmlbench
