#include "config/overrides.h"

#include "config/value.h"
#include "support/words.h"

#include <charconv>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace nmlbench {
namespace {

struct Step {
  std::string key;
  std::optional<std::size_t> index;  // tuner[1]
};

Location flag(const std::string& text) {
  return {"--set " + text, 0, 0, ""};
}

Step parse_step(std::string_view part, const std::string& override_text) {
  const std::size_t bracket = part.find('[');
  if (bracket == std::string_view::npos) return {std::string(part), std::nullopt};
  std::size_t index = 0;
  const char* begin = part.data() + bracket + 1;
  const auto [end, error] = std::from_chars(begin, part.data() + part.size(), index);
  if (error != std::errc() || end + 1 != part.data() + part.size() || *end != ']') {
    throw ConfigError(flag(override_text), "a list element is written key[0]");
  }
  return {std::string(part.substr(0, bracket)), index};
}

std::vector<Step> parse_path(std::string_view path, const std::string& override_text) {
  std::vector<Step> steps;
  while (true) {
    const std::size_t dot = path.find('.');
    Step step = parse_step(path.substr(0, dot), override_text);
    if (step.key.empty()) throw ConfigError(flag(override_text), "the key has an empty part");
    steps.push_back(std::move(step));
    if (dot == std::string_view::npos) return steps;
    path.remove_prefix(dot + 1);
  }
}

// The value after the first "=": TOML if it parses (numbers, lists, "quoted text", true), plain text otherwise, so that
// --set tuner.preset=paper works. Parsed anew for each place it goes to, because copies of a node forget their source.
toml::table parse_value(const std::string& override_text) {
  const std::string value = override_text.substr(override_text.find('=') + 1);
  const std::string source = "--set " + override_text;
  try {
    return toml::parse("value = " + value, source);
  } catch (const toml::parse_error&) {
    if (value.find_first_of("'\n") != std::string::npos) throw ConfigError(flag(override_text), "the value is no TOML");
    return toml::parse("value = '" + value + "'", source);
  }
}

void set_at(toml::table& table, const std::vector<Step>& steps, std::size_t depth, const std::string& override_text);

void descend(toml::node& node, const Step& step, const std::vector<Step>& steps, std::size_t depth,
             const std::string& override_text) {
  if (toml::array* array = node.as_array()) {
    if (step.index && *step.index >= array->size()) {
      throw ConfigError(flag(override_text), fmt::format("\"{}\" has {} elements", step.key, array->size()));
    }
    const std::size_t first = step.index.value_or(0);
    const std::size_t last = step.index ? first + 1 : array->size();
    for (std::size_t i = first; i < last; ++i) {
      toml::table* element = array->get(i)->as_table();
      if (element == nullptr) throw ConfigError(flag(override_text), fmt::format("\"{}\" is not a table", step.key));
      set_at(*element, steps, depth + 1, override_text);
    }
    return;
  }
  if (node.is_table() && !step.index) return set_at(*node.as_table(), steps, depth + 1, override_text);
  throw ConfigError(flag(override_text), fmt::format("\"{}\" is not a table", step.key));
}

// `seeds` is not a key of the file itself, but one of its section [matrix].
void reject_key_of_section(const toml::table& document, const std::string& key, const std::string& override_text) {
  for (const auto& [section, node] : document) {
    const toml::table* table = node.as_table();
    if (table != nullptr && table->contains(key)) {
      throw ConfigError(flag(override_text), fmt::format("there is no \"{0}\"; did you mean \"{1}.{0}\"?", key,
                                                         std::string_view(section.str())));
    }
  }
}

void set_at(toml::table& table, const std::vector<Step>& steps, std::size_t depth, const std::string& override_text) {
  const Step& step = steps[depth];
  toml::node* next = table.get(step.key);
  if (depth + 1 < steps.size()) {
    if (next == nullptr) {
      std::vector<std::string> keys;
      for (const auto& [key, node] : table) keys.emplace_back(key.str());
      throw ConfigError(flag(override_text), fmt::format("there is no \"{}\"{}", step.key, suggestion(step.key, keys)));
    }
    return descend(*next, step, steps, depth, override_text);
  }
  if (!step.index) {
    if (depth == 0 && next == nullptr) reject_key_of_section(table, step.key, override_text);
    toml::table parsed = parse_value(override_text);
    parsed.get("value")->visit([&](auto& value) { table.insert_or_assign(step.key, std::move(value)); });
    return;
  }
  toml::array* array = next == nullptr ? nullptr : next->as_array();
  if (array == nullptr || *step.index >= array->size()) {
    throw ConfigError(flag(override_text), fmt::format("there is no element {}[{}]", step.key, *step.index));
  }
  toml::table parsed = parse_value(override_text);
  parsed.get("value")->visit([&](auto& value) {
    array->replace(array->cbegin() + static_cast<std::ptrdiff_t>(*step.index), std::move(value));
  });
}

}  // namespace

void apply_overrides(toml::table& document, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) throw ConfigError(flag(text), "expected KEY=VALUE");
    const std::vector<Step> steps = parse_path(std::string_view(text).substr(0, equals), text);
    set_at(document, steps, 0, text);
  }
}

}  // namespace nmlbench
