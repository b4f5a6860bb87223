// What planning needs to know about plugins. The registry implements it; the plan never sees a library or a file.
#pragma once

#include "config/value.h"

#include <nmlbench/plugin.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

const char* kind_name(PluginKind kind);  // "encoder", "noise", "tuner", "dataset"

// A plugin with every parameter decided.
struct ResolvedPlugin {
  PluginKind kind = PluginKind::encoder;
  std::string name;
  std::uint32_t revision = 0;
  std::string library;  // file name
  std::string library_version;
  bool outside = false;  // the library is not one of the program's own
  Params params;         // all declared parameters, defaults and presets filled in
  // JSON object of the parameters that affect results, but for paths and readouts; keys sorted, shortest numbers.
  std::string canonical;
  std::string readout;     // encoders: the same of the parameters of Role::readout; "" without such
  std::string readout_id;  // those of them that are not the default: "pooling=mean,layer=-2"
  std::string stack_key;   // tuners: the same without the per-head parameters; heads with equal keys may stack
  // Name and value of the parameters that the user chose otherwise than the default or preset; paths by file name.
  std::vector<std::pair<std::string, std::string>> differences;
  std::map<Role, std::string> roles;  // names of the parameters that mean something to the harness
  const PluginEntry* entry = nullptr;
  Location where;

  // The name of the parameter with a role; "" when there is none.
  std::string parameter(Role role) const {
    const auto found = roles.find(role);
    return found == roles.end() ? "" : found->second;
  }

  // A tuner that is handed the encoder, not its frozen features.
  bool moves_encoder() const { return entry != nullptr && entry->make_encoder_tuner != nullptr; }
  // A tuner that reads the frozen features of its training rows.
  bool reads_training_features() const {
    return !moves_encoder() ||
           (roles.count(Role::first_head) > 0 && params.text(roles.at(Role::first_head)) == "probe");
  }

  // "name@revision{canonical}": what goes into identity hashes.
  std::string identity() const { return name + "@" + std::to_string(revision) + canonical; }
};

class Catalog {
 public:
  virtual ~Catalog() = default;

  // Validates what the user gave against the declaration and expands axes: a list given for a parameter that is not a
  // list means one ResolvedPlugin per element (the product over several such parameters, last one fastest).
  // Throws ConfigError: unknown plugin or key (with a suggestion), wrong type, out of range, missing.
  virtual std::vector<ResolvedPlugin> expand(PluginKind kind, const PluginRef& ref) const = 0;
};

}  // namespace nmlbench
