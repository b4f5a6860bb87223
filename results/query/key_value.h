// A value of a group-by column, as it goes from the database to a table. Internal to results/.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct KeyValue {
  std::string text;              // as stored; numbers as the shortest text that reads back to them
  std::optional<double> number;  // of a column of numbers, where it is known
  std::string label;             // for people: parameter objects shortened to what differs ("lr=0.1")
  bool known = true;             // false for a number that nobody knows, and a parameter that a plugin does not have
};

inline bool operator==(const KeyValue& a, const KeyValue& b) {
  return a.text == b.text;
}
// What is not known or empty, then numbers by size, then text alphabetically.
inline bool operator<(const KeyValue& a, const KeyValue& b) {
  const auto sort_of = [](const KeyValue& value) { return value.number ? 1 : value.text.empty() ? 0 : 2; };
  if (sort_of(a) != sort_of(b)) return sort_of(a) < sort_of(b);
  return a.number && b.number ? *a.number < *b.number : a.text < b.text;
}

inline std::vector<std::string> texts(const std::vector<KeyValue>& key) {
  std::vector<std::string> result;
  for (const KeyValue& value : key) result.push_back(value.text);
  return result;
}
inline std::vector<std::string> labels(const std::vector<KeyValue>& key) {
  std::vector<std::string> result;
  for (const KeyValue& value : key) result.push_back(value.label);
  return result;
}

}  // namespace nmlbench
