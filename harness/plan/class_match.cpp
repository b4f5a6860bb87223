#include "plan/class_match.h"

#include "support/words.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace nmlbench {
namespace {

using Names = std::vector<std::string>;

constexpr std::int64_t kMostClasses = 10'000'000;  // more have no names

bool is_number(const std::string& name) {
  return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
}

// Names that are numbers throughout, without leading zeros; nothing when they are not, or would become equal.
std::optional<Names> numbers_in(const Names& names) {
  if (names.empty() || !std::all_of(names.begin(), names.end(), is_number)) return std::nullopt;
  Names plain;
  for (const std::string& name : names)
    plain.push_back(name.substr(std::min(name.find_first_not_of('0'), name.size() - 1)));
  if (std::set<std::string>(plain.begin(), plain.end()).size() < plain.size()) return std::nullopt;
  return plain;
}

Names own_numbers(std::int64_t classes) {
  Names names;
  for (std::int64_t c = 0; c < classes; ++c) names.push_back(std::to_string(c));
  return names;
}

// Folders "0", "1", .. are called by the numbers of classes; without "0" they may be counted from one, and mean others.
bool count_from_zero(const Names& numbers, std::int64_t classes) {
  const auto below = [&](const std::string& n) { return n.size() < 10 && std::stoll(n) < classes; };
  return std::count(numbers.begin(), numbers.end(), "0") > 0 && std::all_of(numbers.begin(), numbers.end(), below);
}

// The names to compare, or nothing when numbers are all there is.
std::optional<std::pair<Names, Names>> comparable(const SplitInfo& train, const SplitInfo& test) {
  if (std::max(train.classes, test.classes) > kMostClasses) return std::nullopt;
  const std::optional<Names> train_numbers = numbers_in(train.class_names), test_numbers = numbers_in(test.class_names);
  if (train.class_names.empty() && !test_numbers) return std::nullopt;
  if (test.class_names.empty() && !train_numbers) return std::nullopt;
  if (train.class_names.empty()) return std::pair{own_numbers(train.classes), *test_numbers};
  if (test.class_names.empty()) return std::pair{*train_numbers, own_numbers(test.classes)};
  if (train_numbers && test_numbers) return std::pair{*train_numbers, *test_numbers};
  if (test_numbers && count_from_zero(*test_numbers, train.classes)) {
    return std::pair{own_numbers(train.classes), *test_numbers};
  }
  return std::pair{train.class_names, test.class_names};
}

// Where numbers are all there is, they mean the same classes in both.
std::string labels_beyond(const Split& train, const Split& test) {
  if (test.facts.info.classes <= train.facts.info.classes) return "";
  return fmt::format(
      "{}: {} has labels up to {}, and the training split {} has {} classes only; give it all classes, or leave what "
      "it lacks out of the test set",
      test.plugin.where.text(), data_of(test), test.facts.info.classes - 1, data_of(train), train.facts.info.classes);
}

}  // namespace

std::string data_of(const Split& split) {
  for (std::uint64_t i = 0; split.plugin.entry != nullptr && i < split.plugin.entry->param_count; ++i) {
    const ParamSpec& spec = split.plugin.entry->params[i];
    if (spec.type == ParamType::path && !split.plugin.params.text(spec.name).empty()) {
      return split.plugin.params.path(spec.name).string();
    }
  }
  return "dataset " + split.plugin.name;
}

ClassMatch match_classes(const Split& train, const Split& test) {
  ClassMatch match;
  if (!train.facts.error.empty() || !test.facts.error.empty() || !test.facts.info.training_classes.empty())
    return match;
  const auto names = comparable(train.facts.info, test.facts.info);
  if (!names) {
    match.obstacle = labels_beyond(train, test);
    return match;
  }
  const auto& [train_names, test_names] = *names;
  std::map<std::string, std::int64_t> position;
  for (const std::string& name : train_names) position.emplace(name, static_cast<std::int64_t>(position.size()));
  for (std::size_t c = 0; c < test_names.size(); ++c) {
    const auto found = position.find(test_names[c]);
    const bool unnamed = test_names[c].empty() || (c < train_names.size() && train_names[c].empty());
    if (found != position.end() && !test_names[c].empty()) {
      match.classes.push_back(found->second);
    } else if (unnamed) {  // numbers count where a name is missing
      match.classes.push_back(static_cast<std::int64_t>(c));
    } else {
      match.classes.push_back(-1);
      if (test.facts.info.class_names.empty() || !match.obstacle.empty()) continue;
      const std::string meant = did_you_mean(test_names[c], train_names);
      match.obstacle = fmt::format(
          "{}: {} has the class \"{}\", and the training split {} has none of that name{}; give both the same names",
          test.plugin.where.text(), data_of(test), test_names[c], data_of(train),
          meant.empty() ? "" : fmt::format(" (but \"{}\")", meant));
    }
  }
  std::vector<std::int64_t> same(match.classes.size());
  std::iota(same.begin(), same.end(), std::int64_t{0});
  if (match.classes == same) match.classes.clear();
  return match;
}

}  // namespace nmlbench
