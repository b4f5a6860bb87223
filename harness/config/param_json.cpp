#include "config/param_json.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace nmlbench {

using nlohmann::json;

json param_json(const ParamValue& value) {
  struct Printer {
    json operator()(bool v) const { return v; }
    json operator()(std::int64_t v) const { return v; }
    json operator()(double v) const {
      if (v == std::floor(v) && std::abs(v) < 1e15) return static_cast<std::int64_t>(v);
      return v;
    }
    json operator()(const std::string& v) const { return v; }
    json operator()(const std::vector<double>& v) const {
      json list = json::array();
      for (const double item : v) list.push_back((*this)(item));
      return list;
    }
    json operator()(const std::vector<std::string>& v) const { return v; }
  };
  return std::visit(Printer{}, value);
}

}  // namespace nmlbench
