#include "config/value.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include <fmt/format.h>

namespace nmlbench {

std::string Location::text() const {
  std::string out = source;
  if (line > 0) out += fmt::format(":{}:{}", line, column);
  if (!key.empty()) out += (out.empty() ? "" : ": ") + key;
  return out;
}

ConfigError::ConfigError(const Location& where, const std::string& what) : Error(where.text() + ": " + what) {}

std::string Value::text() const {
  struct Printer {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const { return '"' + v + '"'; }
    std::string operator()(const std::vector<Value>& v) const {
      std::string out = "[";
      for (const Value& item : v) out += (out.size() > 1 ? ", " : "") + item.text();
      return out + "]";
    }
  };
  return std::visit(Printer{}, data);
}

double as_real(const Value& value) {
  if (const auto* v = std::get_if<double>(&value.data)) return *v;
  if (const auto* v = std::get_if<std::int64_t>(&value.data)) return static_cast<double>(*v);
  throw ConfigError(value.where, "expected a number, found " + value.text());
}

bool same_number(double a, double b) {
  constexpr double kTolerance = 1e-9;
  return std::abs(a - b) <= kTolerance * std::max(std::abs(a), std::abs(b));
}

}  // namespace nmlbench
