#include <nmlbench/params.h>

namespace nmlbench {

template <typename T>
const T& Params::get(std::string_view name, const char* type) const {
  const auto found = values_.find(std::string(name));
  if (found == values_.end() && per_head_.count(std::string(name)) > 0) {
    throw Error("bug in the plugin: parameter \"" + std::string(name) +
                "\" differs from head to head; each head's is in its HeadSpec, and in per_head() of a GradientTuner");
  }
  if (found == values_.end()) {
    throw Error("bug in the plugin: it asks for parameter \"" + std::string(name) + "\", which it does not declare");
  }
  const T* value = std::get_if<T>(&found->second);
  if (value == nullptr) {
    throw Error("bug in the plugin: parameter \"" + std::string(name) + "\" is not declared as " + type);
  }
  return *value;
}

bool Params::boolean(std::string_view name) const {
  return get<bool>(name, "boolean");
}
std::int64_t Params::integer(std::string_view name) const {
  return get<std::int64_t>(name, "integer");
}
double Params::real(std::string_view name) const {
  return get<double>(name, "real");
}
const std::string& Params::text(std::string_view name) const {
  return get<std::string>(name, "text, choice or path");
}
const std::vector<double>& Params::reals(std::string_view name) const {
  return get<std::vector<double>>(name, "reals");
}
const std::vector<std::string>& Params::texts(std::string_view name) const {
  return get<std::vector<std::string>>(name, "texts");
}
Params Params::shared_by_heads(const std::set<std::string>& per_head) const {
  Params shared = *this;
  shared.per_head_ = per_head;
  for (const std::string& name : per_head) shared.values_.erase(name);
  return shared;
}
bool Params::has(std::string_view name) const {
  return values_.count(std::string(name)) > 0;
}

}  // namespace nmlbench
