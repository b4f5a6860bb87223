#include "results/boards/class_changes.h"

#include "results/boards/baseline.h"
#include "results/boards/selection.h"
#include "results/query/grouping.h"
#include "results/store/database.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include <SQLiteCpp/Statement.h>

namespace nmlbench {

namespace {

struct OfClass {
  std::int64_t samples = 0;
  double accuracy = 0.0;
};

// What one cell got right of each class of a test set, read once.
class ClassReader {
 public:
  explicit ClassReader(const Store& store)
      : statement_(store.impl().db,
                   "SELECT label, samples, accuracy FROM v_class_accuracy WHERE cell_id = ? AND test_set = ?") {}

  const std::map<std::int64_t, OfClass>& read(const Observations& data, const Observation& row) {
    const std::string &cell = data.text(row, Field::cell_id), &test_set = data.text(row, Field::test_set);
    const auto [known, is_new] = classes_.try_emplace({cell, test_set});
    if (!is_new) return known->second;
    statement_.bind(1, cell);
    statement_.bind(2, test_set);
    while (statement_.executeStep()) {
      known->second[statement_.getColumn(0).getInt64()] = {statement_.getColumn(1).getInt64(),
                                                           statement_.getColumn(2).getDouble()};
    }
    statement_.reset();
    return known->second;
  }

 private:
  SQLite::Statement statement_;
  std::map<std::pair<std::string, std::string>, std::map<std::int64_t, OfClass>> classes_;
};

std::vector<ClassChange> build_changes(const Store& store, std::size_t limit) {
  const Observations data = select_observations(store, {.paired_samples = true});
  const Grouping grouping = group_rows(data, {Field::task, Field::noise, Field::noise_ratio});
  Baseline clean(data, grouping.fields, "noise_ratio=0");
  ClassReader reader(store);
  std::vector<ClassChange> changes;
  for (const Group* group : noisiest_groups(data, grouping, clean)) {
    for (const char* kind : {"id", "ood"}) {
      std::map<std::pair<std::string, std::int64_t>, ClassChange> of_class;  // by test set and label
      for (const auto& [row, baseline] : clean.pairs(*group, kind)) {
        const auto& without = reader.read(data, baseline);
        for (const auto& [label, own] : reader.read(data, row)) {
          const auto other = without.find(label);
          if (other == without.end()) continue;  // no confusion matrix was kept of one
          ClassChange& change = of_class[{data.text(row, Field::test_set), label}];
          change.samples = own.samples;
          ++change.heads;
          change.noisy += own.accuracy;
          change.clean += other->second.accuracy;
        }
      }
      for (auto& [key, change] : of_class) {
        std::tie(change.test_set, change.label) = key;
        change.task = data.text(group->example, Field::task);
        change.test_kind = kind;
        change.noise = data.text(group->example, Field::noise);
        change.noise_rate = noise_rate(data, *group);
        change.noisy /= static_cast<double>(change.heads);
        change.clean /= static_cast<double>(change.heads);
        changes.push_back(std::move(change));
      }
    }
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const ClassChange& a, const ClassChange& b) { return a.clean - a.noisy > b.clean - b.noisy; });
  if (changes.size() > limit) changes.resize(limit);
  return changes;
}

}  // namespace

std::vector<ClassChange> query_class_changes(const Store& store, std::size_t limit) {
  return with_database_errors(store.impl().file, [&] { return build_changes(store, limit); });
}

}  // namespace nmlbench
