#include "config/declared.h"

#include "config/param_json.h"
#include "support/words.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using nlohmann::json;

const char* expected_type(ParamType type) {
  switch (type) {
    case ParamType::boolean:
      return "true or false";
    case ParamType::integer:
      return "an integer";
    case ParamType::real:
      return "a number";
    case ParamType::reals:
      return "a list of numbers";
    case ParamType::texts:
      return "a list of texts";
    default:
      return "text";
  }
}

[[noreturn]] void wrong_type(const ParamSpec& spec, const Value& value) {
  throw ConfigError(value.where, fmt::format("expected {} for \"{}\" ({}), found {}", expected_type(spec.type),
                                             spec.name, spec.doc, value.text()));
}

void check_range(const ParamSpec& spec, const Value& value, double number) {
  if (number >= spec.min && number <= spec.max) return;  // false for NaN
  const std::string unit = *spec.unit != '\0' ? std::string(" ") + spec.unit : "";
  throw ConfigError(value.where, fmt::format("{} is outside [{}, {}]{} (\"{}\": {})", value.text(), spec.min, spec.max,
                                             unit, spec.name, spec.doc));
}

double to_real(const ParamSpec& spec, const Value& value) {
  double number = 0;
  if (const auto* real = std::get_if<double>(&value.data)) {
    number = *real;
  } else if (const auto* integer = std::get_if<std::int64_t>(&value.data)) {
    number = static_cast<double>(*integer);
  } else {
    wrong_type(spec, value);
  }
  if (!std::isfinite(number))
    throw ConfigError(value.where, fmt::format("{} is not a finite number (\"{}\")", number, spec.name));
  check_range(spec, value, number);
  return number;
}

const std::string& to_text(const ParamSpec& spec, const Value& value) {
  const auto* text = std::get_if<std::string>(&value.data);
  if (text == nullptr) wrong_type(spec, value);
  return *text;
}

std::string to_choice(const ParamSpec& spec, const Value& value) {
  const std::string& text = to_text(spec, value);
  const std::vector<std::string> choices = split_text(spec.choices, '|');
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    throw ConfigError(value.where,
                      fmt::format("\"{}\" is not a choice for \"{}\"{}", text, spec.name, suggestion(text, choices)));
  }
  return text;
}

// Relative paths are relative to the matrix file; those of --set to the current folder.
std::string to_path(const ParamSpec& spec, const Value& value) {
  namespace fs = std::filesystem;
  const fs::path given = to_text(spec, value);
  if (given.empty() || given.is_absolute()) return given.string();
  const bool from_flag = value.where.source.rfind("--", 0) == 0;
  const fs::path base = from_flag ? fs::path() : fs::path(value.where.source).parent_path();
  const std::string first = given.begin()->string();
  std::error_code error;
  if ((first[0] == '~' || first[0] == '$') && !fs::exists(base / first, error)) {
    throw ConfigError(value.where,
                      fmt::format("\"{}\": ~ and variables are expanded by shells, not here; write the path in full",
                                  given.string()));
  }
  return fs::absolute(base / given).string();
}

ParamValue convert(const ParamSpec& spec, const Value& value) {
  switch (spec.type) {
    case ParamType::boolean: {
      const auto* flag = std::get_if<bool>(&value.data);
      if (flag == nullptr) wrong_type(spec, value);
      return *flag;
    }
    case ParamType::integer: {
      const auto* number = std::get_if<std::int64_t>(&value.data);
      if (number == nullptr) wrong_type(spec, value);
      check_range(spec, value, static_cast<double>(*number));
      return *number;
    }
    case ParamType::real:
      return to_real(spec, value);
    case ParamType::text:
      return to_text(spec, value);
    case ParamType::choice:
      return to_choice(spec, value);
    case ParamType::path:
      return to_path(spec, value);
    case ParamType::reals: {
      if (!value.is_list()) wrong_type(spec, value);
      std::vector<double> numbers;
      for (const Value& item : value.list()) numbers.push_back(to_real(spec, item));
      return numbers;
    }
    case ParamType::texts: {
      if (!value.is_list()) wrong_type(spec, value);
      std::vector<std::string> texts;
      for (const Value& item : value.list()) texts.push_back(to_text(spec, item));
      return texts;
    }
  }
  wrong_type(spec, value);
}

// A value from a declaration ("0.1", "true", "0.5,0.5"), as if the user had written it.
Value parse_declared(const ParamSpec& spec, const std::string& text, const Location& where) {
  const auto number = [&](const std::string& item) -> Value {
    try {
      std::size_t used = 0;
      if (spec.type == ParamType::integer) {
        const double wide = std::stod(item, &used);  // accepts 1e6
        if (used == item.size() && wide == std::floor(wide) && std::abs(wide) < 1e15)
          return {static_cast<std::int64_t>(wide), where};
      } else {
        const double real = std::stod(item, &used);
        if (used == item.size()) return {real, where};
      }
    } catch (const std::logic_error&) {
    }
    throw Error(fmt::format("bug in the plugin: \"{}\" is no default for \"{}\"", item, spec.name));
  };
  if (spec.type == ParamType::boolean) {
    if (text != "true" && text != "false") {
      throw Error(fmt::format("bug in the plugin: \"{}\" is no default for \"{}\"", text, spec.name));
    }
    return {text == "true", where};
  }
  if (spec.type == ParamType::integer || spec.type == ParamType::real) return number(text);
  if (spec.type == ParamType::reals || spec.type == ParamType::texts) {
    std::vector<Value> items;
    for (const std::string& item : split_text(text, ',')) {
      items.push_back(spec.type == ParamType::reals ? number(item) : Value{item, where});
    }
    return {std::move(items), where};
  }
  return {text, where};
}

bool is_list_type(const ParamSpec& spec) {
  return spec.type == ParamType::reals || spec.type == ParamType::texts;
}

bool same_value(const ParamValue& a, const ParamValue& b) {
  const auto *x = std::get_if<double>(&a), *y = std::get_if<double>(&b);
  return x != nullptr && y != nullptr ? same_number(*x, *y) : a == b;
}

// The values of one parameter: one, or several when the user gave an axis.
std::vector<ParamValue> axis_of(const ParamSpec& spec, const Value& value) {
  const bool is_axis =
      is_list_type(spec) ? value.is_list() && !value.list().empty() && value.list().front().is_list() : value.is_list();
  if (!is_axis) return {convert(spec, value)};
  if (value.list().empty()) throw ConfigError(value.where, "the list is empty, so there would be no cell");
  std::vector<ParamValue> axis;
  for (const Value& item : value.list()) {
    ParamValue converted = convert(spec, item);
    if (std::any_of(axis.begin(), axis.end(), [&](const ParamValue& other) { return same_value(other, converted); })) {
      throw ConfigError(item.where, fmt::format("{} is listed twice", item.text()));
    }
    axis.push_back(std::move(converted));
  }
  return axis;
}

// A value as a name of a variant shows it.
std::string short_text(const ParamSpec& spec, const ParamValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    return spec.type == ParamType::path ? std::filesystem::path(*text).filename().string() : *text;
  }
  return param_json(value).dump();
}

class Expander {
 public:
  Expander(const Declaration& declaration, const std::vector<std::pair<std::string, Value>>& given,
           const Location& where)
      : declaration_(declaration), given_(given), where_(where) {}

  std::vector<DeclaredValues> expand() {
    reject_unknown();
    const std::map<std::string, std::string> preset = preset_values();
    for (const ParamSpec& spec : specs()) {
      const auto chosen = preset.find(spec.name);
      if (chosen == preset.end() && spec.default_value == nullptr) {
        if (user_value(spec.name) != nullptr) continue;
        throw ConfigError(where_, fmt::format("{} needs \"{}\" ({})", declaration_.name, spec.name, spec.doc));
      }
      defaults_[spec.name] = convert_default(spec, chosen != preset.end() ? chosen->second : spec.default_value);
    }
    std::vector<std::map<std::string, ParamValue>> product = {defaults_};
    for (const auto& [name, value] : given_) {  // in the order given: the last axis runs fastest
      std::vector<std::map<std::string, ParamValue>> longer;
      const std::vector<ParamValue> axis = axis_of(*find(name), value);
      for (const auto& point : product) {
        for (const ParamValue& item : axis) {
          longer.push_back(point);
          longer.back()[name] = item;
        }
      }
      product = std::move(longer);
    }
    std::vector<DeclaredValues> result;
    for (auto& point : product) result.push_back(finish(std::move(point)));
    return result;
  }

 private:
  std::vector<ParamSpec> specs() const { return {declaration_.params, declaration_.params + declaration_.param_count}; }
  const ParamSpec* find(const std::string& name) const {
    const ParamSpec* end = declaration_.params + declaration_.param_count;
    const ParamSpec* found = std::find_if(declaration_.params, end, [&](const ParamSpec& s) { return name == s.name; });
    return found == end ? nullptr : found;
  }
  const Value* user_value(const std::string& name) const {
    const auto found = std::find_if(given_.begin(), given_.end(), [&](const auto& pair) { return pair.first == name; });
    return found == given_.end() ? nullptr : &found->second;
  }

  // "" stays "" for paths and texts; everything else is read and checked as the user's would be.
  ParamValue convert_default(const ParamSpec& spec, const std::string& text) const {
    try {
      return convert(spec, parse_declared(spec, text, where_));
    } catch (const ConfigError& error) {
      throw Error(fmt::format("bug in the plugin: the default of \"{}\" is not valid: {}", spec.name, error.what()));
    }
  }

  void reject_unknown() const {
    std::vector<std::string> names;
    for (const ParamSpec& spec : specs()) names.emplace_back(spec.name);
    for (const auto& [name, value] : given_) {
      if (find(name) != nullptr) continue;
      throw ConfigError(value.where, fmt::format("unknown key: {} has no parameter \"{}\"{}", declaration_.name, name,
                                                 names.empty() ? "; it takes none" : suggestion(name, names)));
    }
  }

  std::map<std::string, std::string> preset_values() const {
    if (declaration_.preset_count == 0) return {};
    const ParamSpec* spec = find("preset");
    if (spec == nullptr)
      throw Error(fmt::format("bug in the plugin: {} has presets but no parameter \"preset\"", declaration_.name));
    const Value* given = user_value("preset");
    if (given != nullptr && given->is_list()) {
      throw ConfigError(given->where, "a preset cannot be an axis; write one section for each");
    }
    const std::string name = given != nullptr ? to_choice(*spec, *given) : spec->default_value;
    for (std::size_t i = 0; i < declaration_.preset_count; ++i) {
      if (name != declaration_.presets[i].name) continue;
      std::map<std::string, std::string> values;
      for (const std::string& item : split_text(declaration_.presets[i].values, ' ')) {
        const std::size_t equals = item.find('=');
        if (item.empty()) continue;
        if (equals == std::string::npos || find(item.substr(0, equals)) == nullptr) {
          throw Error(fmt::format("bug in the plugin: preset {} sets \"{}\", which is no parameter", name, item));
        }
        values[item.substr(0, equals)] = item.substr(equals + 1);
      }
      return values;
    }
    return {};  // a choice such as "none" that no preset stands behind
  }

  DeclaredValues finish(std::map<std::string, ParamValue> values) const {
    json canonical = json::object(), stack = json::object(), readout;
    std::vector<std::pair<std::string, std::string>> differences;
    for (const ParamSpec& spec : specs()) {
      if (!spec.affects_result) continue;
      const ParamValue& value = values.at(spec.name);
      const auto usual = defaults_.find(spec.name);
      if (user_value(spec.name) != nullptr && (usual == defaults_.end() || usual->second != value)) {
        differences.emplace_back(spec.name, short_text(spec, value));
      }
      if (spec.type == ParamType::path) continue;
      if (spec.came_later && value == convert_default(spec, spec.default_value)) continue;
      if (spec.role == Role::readout) {
        readout[spec.name] = param_json(value);
        continue;
      }
      canonical[spec.name] = param_json(value);
      if (!spec.varies_in_stack) stack[spec.name] = canonical[spec.name];
    }
    if (declaration_.preset_count > 0) stack.erase("preset");  // its values speak for themselves
    return {Params(std::move(values)), canonical.dump(), readout.is_null() ? "" : readout.dump(), stack.dump(),
            std::move(differences)};
  }

  const Declaration& declaration_;
  const std::vector<std::pair<std::string, Value>>& given_;
  const Location& where_;
  std::map<std::string, ParamValue> defaults_;  // of the declaration and the preset; required parameters have none
};

}  // namespace

std::vector<DeclaredValues> expand_declared(const Declaration& declaration,
                                            const std::vector<std::pair<std::string, Value>>& given,
                                            const Location& where) {
  return Expander(declaration, given, where).expand();
}

}  // namespace nmlbench
