// Preprocessing belongs to the encoder: a task names data, and what its references to them leave open of how
// photographs are brought to one size comes from the encoder that is to see them.
#pragma once

#include "plan/catalog.h"
#include "plan/inspector.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

class PreprocessingTable {
 public:
  PreprocessingTable(const Catalog& catalog, const Inspector& inspector) : catalog_(catalog), inspector_(inspector) {}

  // The reference with a value for each parameter of an image role (Role::image_size, ...) that it does not give;
  // unchanged for data without such parameters, and for an encoder that has no preprocessing of its own.
  PluginRef fitted(const PluginRef& data, const ResolvedPlugin& encoder);

  // Equal for encoders that make the same of some data; "" where these stay as they are.
  std::string key(const std::vector<const PluginRef*>& data, const ResolvedPlugin& encoder);

 private:
  using NamedValues = std::vector<std::pair<std::string, Value>>;
  NamedValues left_open(const PluginRef& data, const ResolvedPlugin& encoder);
  const std::map<Role, std::string>& roles_of(const PluginRef& data);

  const Catalog& catalog_;
  const Inspector& inspector_;
  std::map<std::string, std::optional<InputSpec>> inputs_;    // by identity of the encoder
  std::map<std::string, std::map<Role, std::string>> roles_;  // names of parameters, by data set plugin
};

}  // namespace nmlbench
