#include "config/toml_table.h"

#include "support/words.h"

#include <algorithm>

#include <fmt/format.h>

namespace nmlbench {
namespace {

const toml::table kEmptyTable;

PluginRef to_plugin(const toml::table& table, const std::string& key, std::string_view except = "") {
  PluginRef ref;
  ref.where = location_of(table, key);
  for (const auto& [name, node] : table) {
    if (name.str() == except) continue;
    const std::string inner = key + "." + std::string(name.str());
    if (name.str() == "plugin") {
      const auto* text = node.as_string();
      if (text == nullptr) throw ConfigError(location_of(node, inner), "must be the name of a plugin, in quotes");
      ref.plugin = text->get();
    } else {
      ref.values.emplace_back(std::string(name.str()), to_value(node, inner));
    }
  }
  return ref;
}

const char* type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

[[noreturn]] void wrong_type(const toml::node& node, const std::string& key, const char* expected) {
  throw ConfigError(location_of(node, key), fmt::format("expected {}, found {}", expected, type_name(node)));
}

}  // namespace

Location location_of(const toml::node& node, const std::string& key) {
  const toml::source_region& source = node.source();
  const std::string name = source.path ? *source.path : std::string();
  if (name.rfind("--set ", 0) == 0) return {name, 0, 0, key};  // a flag has no lines
  return {name, static_cast<int>(source.begin.line), static_cast<int>(source.begin.column), key};
}

Value to_value(const toml::node& node, const std::string& key) {
  const Location where = location_of(node, key);
  if (const auto* v = node.as_boolean()) return {v->get(), where};
  if (const auto* v = node.as_integer()) return {v->get(), where};
  if (const auto* v = node.as_floating_point()) return {v->get(), where};
  if (const auto* v = node.as_string()) return {v->get(), where};
  if (const auto* array = node.as_array()) {
    std::vector<Value> items;
    for (std::size_t i = 0; i < array->size(); ++i) {
      items.push_back(to_value(*array->get(i), fmt::format("{}[{}]", key, i)));
    }
    return {std::move(items), where};
  }
  throw ConfigError(where, fmt::format("expected a number, text, true, false or a list, found {}", type_name(node)));
}

const toml::node* TomlTable::find(std::string_view name) {
  known_.emplace_back(name);
  return table_.get(name);
}

const toml::node& TomlTable::require(std::string_view name, const char* meaning) {
  const toml::node* node = find(name);
  if (node == nullptr) throw ConfigError(where(), fmt::format("key \"{}\" is missing ({})", name, meaning));
  return *node;
}

std::string TomlTable::text(std::string_view name, const char* meaning) {
  const toml::node& node = require(name, meaning);
  if (!node.is_string()) wrong_type(node, key(name), "text");
  return node.as_string()->get();
}

std::string TomlTable::text_or(std::string_view name, const std::string& fallback) {
  return table_.contains(name) ? text(name, "") : (known_.emplace_back(name), fallback);
}

std::string TomlTable::choice_or(std::string_view name, const std::string& allowed, const std::string& fallback) {
  const std::string chosen = text_or(name, fallback);
  const std::vector<std::string> choices = split_text(allowed, '|');
  if (std::find(choices.begin(), choices.end(), chosen) == choices.end()) {
    throw ConfigError(location_of(*table_.get(name), key(name)),
                      fmt::format("\"{}\" is not one of {}{}", chosen, fmt::join(choices, ", "),
                                  did_you_mean(chosen, choices).empty() ? "" : suggestion(chosen, choices)));
  }
  return chosen;
}

std::int64_t TomlTable::integer_or(std::string_view name, std::int64_t fallback, std::int64_t min) {
  const toml::node* node = find(name);
  if (node == nullptr) return fallback;
  if (!node->is_integer()) wrong_type(*node, key(name), "an integer");
  const std::int64_t value = node->as_integer()->get();
  if (value < min) throw ConfigError(location_of(*node, key(name)), fmt::format("{} is below {}", value, min));
  return value;
}

std::vector<Value> TomlTable::list(std::string_view name, const char* meaning) {
  Value value = to_value(require(name, meaning), key(name));
  if (!value.is_list()) return {std::move(value)};
  if (value.list().empty()) throw ConfigError(value.where, "the list is empty, so there would be no cell");
  return value.list();
}

PluginRef TomlTable::plugin(std::string_view name, const char* meaning) {
  const toml::node& node = require(name, meaning);
  if (!node.is_table()) wrong_type(node, key(name), "a table such as { plugin = \"NAME\" }");
  return TomlTable(*node.as_table(), key(name)).self_as_plugin();
}

PluginRef TomlTable::self_as_plugin(std::string_view except) {
  PluginRef ref = to_plugin(table_, key_, except);
  if (ref.plugin.empty()) throw ConfigError(ref.where, "key \"plugin\" is missing (which plugin to use)");
  return ref;
}

std::vector<TomlTable> TomlTable::tables(std::string_view name) {
  std::vector<TomlTable> result;
  const toml::node* node = find(name);
  if (node == nullptr) return result;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    wrong_type(*node, key(name), fmt::format("an array of tables ([[{}]], two brackets)", key(name)).c_str());
  }
  for (std::size_t i = 0; i < array->size(); ++i) {
    const std::string item_key = fmt::format("{}[{}]", key(name), i);
    if (!array->get(i)->is_table()) wrong_type(*array->get(i), item_key, "a table");
    result.emplace_back(*array->get(i)->as_table(), item_key);
  }
  return result;
}

TomlTable TomlTable::table(std::string_view name) {
  const toml::node* node = find(name);
  if (node == nullptr) return {kEmptyTable, key(name)};
  if (!node->is_table()) wrong_type(*node, key(name), "a table");
  return {*node->as_table(), key(name)};
}

void TomlTable::reject_unknown() const {
  std::vector<std::string> known;  // each once
  for (const std::string& name : known_) {
    if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
  }
  for (const auto& [name, node] : table_) {
    if (std::find(known.begin(), known.end(), name.str()) == known.end()) {
      throw ConfigError(location_of(node, key(name.str())), "unknown key" + suggestion(name.str(), known));
    }
  }
}

}  // namespace nmlbench
