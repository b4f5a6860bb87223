// Reads one TOML table key by key, remembers which keys were asked for, and complains about the rest.
#pragma once

#include "config/value.h"

#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

namespace nmlbench {

Location location_of(const toml::node& node, const std::string& key);
// Throws ConfigError for dates and inline tables, which no key accepts.
Value to_value(const toml::node& node, const std::string& key);

class TomlTable {
 public:
  TomlTable(const toml::table& table, std::string key) : table_(table), key_(std::move(key)) {}

  Location where() const { return location_of(table_, key_); }
  std::string key(std::string_view name) const {
    return key_.empty() ? std::string(name) : key_ + "." + std::string(name);
  }

  // Null when absent. Marks the key as known.
  const toml::node* find(std::string_view name);
  const toml::node& require(std::string_view name, const char* meaning);

  std::string text(std::string_view name, const char* meaning);
  std::string text_or(std::string_view name, const std::string& fallback);
  std::string choice_or(std::string_view name, const std::string& choices, const std::string& fallback);
  std::int64_t integer_or(std::string_view name, std::int64_t fallback, std::int64_t min);
  // One value or a list of them.
  std::vector<Value> list(std::string_view name, const char* meaning);
  // { plugin = "...", ... }
  PluginRef plugin(std::string_view name, const char* meaning);
  // All keys but `except` as parameters of the plugin that key `plugin` names.
  PluginRef self_as_plugin(std::string_view except = "");
  // Sub-tables of an array of tables; empty when absent.
  std::vector<TomlTable> tables(std::string_view name);
  // A sub-table, or an empty one when absent.
  TomlTable table(std::string_view name);
  bool has(std::string_view name) const { return table_.contains(name); }

  // Throws ConfigError for the first key that nobody asked for, with a suggestion.
  void reject_unknown() const;

 private:
  const toml::table& table_;
  std::string key_;
  std::vector<std::string> known_;
};

}  // namespace nmlbench
