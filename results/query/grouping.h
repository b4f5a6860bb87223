// Cells in groups, one group for each row of a board, and which groups were measured on the same things. Internal to
// results/.
#pragma once

#include "results/query/key_value.h"
#include "results/query/observations.h"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace nmlbench {

struct Group {
  Observation example;            // has the values of the group's columns
  std::vector<Observation> done;  // by cell
  std::size_t failed = 0;         // cells

  std::size_t count_cells() const;
};

struct Grouping {
  std::vector<Field> fields;
  std::vector<Group> groups;
};

bool contains(const std::vector<Field>& fields, Field field);
// Without repetitions. Throws Error naming all columns.
std::vector<Field> fields_named(const Observations& data, const std::vector<std::string>& names);

// Of the columns that identify a cell beside task and seed the first in which two differ, in the order in which boards
// show them.
std::optional<Field> first_difference(const Observations& data, const Observation& a, const Observation& b);

// tuner, noise, noise_ratio, and what else varies; told apart.
std::vector<Field> default_grouping(const Observations& data);
// `fields` and, behind them, the columns in which two cells differ that would share a group, task, seed and test set:
// only these three are ever averaged. Throws Error naming two cells when no column tells them apart.
std::vector<Field> told_apart(const Observations& data, std::vector<Field> fields);
// `fields` and, where some cells were chosen on test, the rule of selection, which no board hides.
std::vector<Field> with_oracle(const Observations& data, std::vector<Field> fields);
// The columns that told_apart() adds alone, as far as there are any.
std::vector<Field> pooled_by(const Observations& data, std::vector<Field> fields);
// Of the columns asked for, else the default; with_oracle().
std::vector<Field> grouping_fields(const Observations& data, const std::vector<std::string>& asked);

// The share of targets that was corrupted: the mean of the realised rates of its cells, or, where they are not known,
// of the ratios that were asked for; nothing where these are not known either.
std::optional<double> noise_rate(const Observations& data, const Group& group);
// Whether nothing was corrupted: the realised rate is 0, or, where it is not known, the ratio that is stated.
bool is_clean(const Observations& data, const Observation& row);
Grouping group_rows(const Observations& data, std::vector<Field> fields);

// Groups are compared only with groups that agree in `shared`; a group covers the combinations of `covered`.
struct CoverageFields {
  std::vector<Field> shared, covered;
};
CoverageFields coverage_fields(const Observations& data, const std::vector<Field>& grouped);
// For each group, whether it was measured on everything that a comparable group was measured on.
std::vector<bool> complete_groups(const Observations& data, const Grouping& grouping);

// The column of the parameters of a tuner or encoder.
Field parameters_of(Field owner);

// Texts of columns for people: parameter objects are shortened to what differs between those of one owner ("lr=0.1"),
// without the parameters that are themselves among the columns `shown`.
class Labels {
 public:
  explicit Labels(const Observations& data, const std::vector<Field>& shown = {});
  std::string operator()(const Observation& row, Field field) const;
  std::vector<KeyValue> key(const Observation& row, const std::vector<Field>& fields) const;
  // The values of a column that people read so.
  std::vector<std::uint32_t> printed_as(Field field, const std::string& label) const;
  // The parameters that a tuner (an encoder) of this name is there with.
  std::set<std::string> settings(Field owner, const std::string& name) const;

 private:
  const Observations& data_;
  std::map<Field, std::map<std::string, std::map<std::string, std::string>>> labels_;
};

}  // namespace nmlbench
