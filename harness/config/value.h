// Values as the user wrote them, each with the place where it was written. Nothing is interpreted here.
#pragma once

#include <nmlbench/error.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nmlbench {

// Where a value stands: "quick.toml:14:9" or "--set tuner.0.lr"; `key` is the dotted key, "tuner[0].lr".
struct Location {
  std::string source;  // file name, or the flag
  int line = 0;        // 0: no position
  int column = 0;
  std::string key;

  std::string text() const;  // "quick.toml:14:9: tuner[0].lr"
};

// A mistake in a matrix or on the command line; the message starts with the location.
class ConfigError : public Error {
 public:
  ConfigError(const Location& where, const std::string& what);
};

struct Value {
  std::variant<bool, std::int64_t, double, std::string, std::vector<Value>> data;
  Location where;

  bool is_list() const { return std::holds_alternative<std::vector<Value>>(data); }
  const std::vector<Value>& list() const { return std::get<std::vector<Value>>(data); }
  std::string text() const;  // as TOML would print it
};

// Throws ConfigError for what is no number.
double as_real(const Value& value);

// { plugin = "resnet-tiny", width = 32 }: a plugin's name and the parameters the user gave, in file order.
struct PluginRef {
  std::string plugin;
  std::vector<std::pair<std::string, Value>> values;
  Location where;
};

// Equal up to rounding: decimal numbers of a matrix may be what a product or a script came to in binary.
bool same_number(double a, double b);

}  // namespace nmlbench
