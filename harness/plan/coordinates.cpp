#include "plan/coordinates.h"

#include <algorithm>
#include <cmath>

#include <fmt/args.h>
#include <fmt/format.h>

namespace nmlbench {
namespace {

constexpr std::string_view kCoordinates[] = {"encoder", "dataset", "noise", "noise_ratio", "noise_percent", "seed"};

bool names(const Value& value, std::string_view coordinate) {
  if (value.is_list()) {
    return std::any_of(value.list().begin(), value.list().end(),
                       [&](const Value& element) { return names(element, coordinate); });
  }
  const auto* text = std::get_if<std::string>(&value.data);
  return text != nullptr && (text->find(fmt::format("{{{}}}", coordinate)) != std::string::npos ||
                             text->find(fmt::format("{{{}:", coordinate)) != std::string::npos);
}

// 7 for 0.07, whose hundredfold in binary is 7.000000000000001.
double percent(double share) {
  return std::round(share * 1e11) / 1e9;
}

std::string filled_in(const std::string& text, const Checkpoint& checkpoint, const Location& where) {
  fmt::dynamic_format_arg_store<fmt::format_context> known;
  std::string unknown;
  const auto add = [&](const char* name, const std::string& value) {
    value.empty() ? void(unknown += fmt::format(" {{{}}}", name)) : known.push_back(fmt::arg(name, value));
  };
  const Stated stated = checkpoint.stated.value_or(Stated());
  add("encoder", checkpoint.encoder_name());
  add("dataset", stated.dataset);
  add("noise", stated.noise);
  if (stated.noise_ratio) {
    known.push_back(fmt::arg("noise_ratio", *stated.noise_ratio));
    known.push_back(fmt::arg("noise_percent", percent(*stated.noise_ratio)));
  } else {
    unknown += " {noise_ratio} {noise_percent}";
  }
  known.push_back(fmt::arg("seed", checkpoint.seed));
  try {
    return fmt::vformat(text, known);
  } catch (const fmt::format_error& error) {
    throw ConfigError(where, fmt::format("\"{}\" cannot be filled in: {}; `stated` gives {{{}}}{}; a brace itself is "
                                         "written twice",
                                         text, error.what(), fmt::join(kCoordinates, "} {"),
                                         unknown.empty() ? "" : ", and here says nothing of" + unknown));
  }
}

Value filled_in(const Value& value, const Checkpoint& checkpoint) {
  Value result = value;
  if (value.is_list()) {
    for (Value& element : std::get<std::vector<Value>>(result.data)) element = filled_in(element, checkpoint);
  } else if (auto* text = std::get_if<std::string>(&result.data)) {
    *text = filled_in(*text, checkpoint, value.where);
  }
  return result;
}

// Whether `holds` for the reference to some data of a task.
template <typename Predicate>
bool any_data(const TaskSpec& task, const Predicate& holds) {
  return holds(task.train) ||
         std::any_of(task.tests.begin(), task.tests.end(), [&](const TestSpec& test) { return holds(test.data); });
}

}  // namespace

bool names_coordinate(const PluginRef& ref, std::string_view coordinate) {
  return std::any_of(ref.values.begin(), ref.values.end(),
                     [&](const auto& named) { return names(named.second, coordinate); });
}

bool names_coordinates(const PluginRef& ref) {
  return std::any_of(std::begin(kCoordinates), std::end(kCoordinates),
                     [&](std::string_view coordinate) { return names_coordinate(ref, coordinate); });
}

bool names_coordinate(const TaskSpec& task, std::string_view coordinate) {
  return any_data(task, [&](const PluginRef& ref) { return names_coordinate(ref, coordinate); });
}

bool names_coordinates(const TaskSpec& task) {
  return any_data(task, [](const PluginRef& ref) { return names_coordinates(ref); });
}

PluginRef at_coordinates(const PluginRef& ref, const Checkpoint& checkpoint) {
  PluginRef result = ref;
  for (auto& [name, value] : result.values) value = filled_in(value, checkpoint);
  return result;
}

}  // namespace nmlbench
