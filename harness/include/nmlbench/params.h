// Declared parameters. A plugin states what it takes; the harness validates, documents and hashes it.
//
//   static constexpr ParamSpec kParams[] = {
//       real("ratio", "0.2", "fraction of labels to corrupt").range(0, 1).as(Role::noise_ratio),
//       choice("schedule", "cosine", "cosine|constant", "learning-rate schedule"),
//   };
//
// Everything here is constant-initialised text and numbers, so that a descriptor can be read before any plugin
// code runs.
#pragma once

#include <nmlbench/error.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nmlbench {

enum class ParamType : std::uint32_t { boolean, integer, real, text, choice, path, reals, texts };

// What a parameter means to the harness, whatever it is called. A plugin has at most one parameter for each role, but
// any number of readouts.
enum class Role : std::uint32_t {
  none,
  noise_ratio,    // noise models: the share of targets that is asked for, the `noise_ratio` of results
  epochs,         // tuners: passes over the training rows, for estimates
  batch_size,     // tuners: rows of a minibatch, for estimates and the size of stacks
  first_head,     // tuners of encoders: "probe" where the head begins as a linear probe on frozen features
  data_folder,    // datasets: the folder or file with the data
  split,          // datasets: which part of them
  domain,         // datasets: which domain; names a test set
  classes,        // datasets: the class count when the user states it, 0 when the labels do
  verify,         // datasets: whether everything that is known of the data is checked
  decoded_cache,  // datasets: whether decoded images are kept on disk
  // Datasets: how photographs are brought to one size; encoders may say (InputSpec::preprocessing).
  image_size,
  image_resize,
  image_crop_pct,
  image_interpolation,
  // Encoders: how features are read from a network (layer, pooling), which neither its weights nor its pre-training
  // depend on. Checkpoints are shared by all values, and an axis of them is encoded in one pass
  // (Encoder::set_readouts).
  readout
};

struct ParamSpec {
  const char* name = "";
  ParamType type = ParamType::text;
  const char* default_value = nullptr;  // as written in TOML, text without quotes; nullptr: the user must give it
  const char* doc = "";                 // one line
  const char* choices = "";             // "a|b|c" for ParamType::choice
  const char* unit = "";
  double min = -std::numeric_limits<double>::infinity();  // inclusive, numbers and list elements
  double max = std::numeric_limits<double>::infinity();
  bool varies_in_stack = false;  // tuners: heads with different values may share one stack
  bool affects_result = true;    // false: a resource knob (cache size, threads), left out of the identity hash
  Role role = Role::none;
  bool came_later = false;  // identities do not speak of its default, so that results from before keep theirs

  constexpr ParamSpec range(double low, double high) const {
    ParamSpec copy = *this;
    copy.min = low;
    copy.max = high;
    return copy;
  }
  constexpr ParamSpec in(const char* text) const {
    ParamSpec copy = *this;
    copy.unit = text;
    return copy;
  }
  constexpr ParamSpec per_head() const {
    ParamSpec copy = *this;
    copy.varies_in_stack = true;
    return copy;
  }
  constexpr ParamSpec as(Role meaning) const {
    ParamSpec copy = *this;
    copy.role = meaning;
    return copy;
  }
  constexpr ParamSpec resource() const {
    ParamSpec copy = *this;
    copy.affects_result = false;
    return copy;
  }
  constexpr ParamSpec later() const {
    ParamSpec copy = *this;
    copy.came_later = true;
    return copy;
  }
};

constexpr ParamSpec make_param(ParamType type, const char* name, const char* default_value, const char* doc) {
  ParamSpec spec;
  spec.name = name;
  spec.type = type;
  spec.default_value = default_value;
  spec.doc = doc;
  return spec;
}
constexpr ParamSpec boolean(const char* name, const char* default_value, const char* doc) {
  return make_param(ParamType::boolean, name, default_value, doc);
}
constexpr ParamSpec integer(const char* name, const char* default_value, const char* doc) {
  return make_param(ParamType::integer, name, default_value, doc);
}
constexpr ParamSpec real(const char* name, const char* default_value, const char* doc) {
  return make_param(ParamType::real, name, default_value, doc);
}
constexpr ParamSpec text(const char* name, const char* default_value, const char* doc) {
  return make_param(ParamType::text, name, default_value, doc);
}
// A file or folder; relative ones are relative to the matrix file, and reach the plugin absolute. "" means none.
constexpr ParamSpec path(const char* name, const char* default_value, const char* doc) {
  return make_param(ParamType::path, name, default_value, doc);
}
constexpr ParamSpec choice(const char* name, const char* default_value, const char* choices, const char* doc) {
  ParamSpec spec = make_param(ParamType::choice, name, default_value, doc);
  spec.choices = choices;
  return spec;
}
// Lists; the default is comma separated: "0.5,0.5,0.5".
constexpr ParamSpec reals(const char* name, const char* default_value, const char* doc) {
  return make_param(ParamType::reals, name, default_value, doc);
}
constexpr ParamSpec texts(const char* name, const char* default_value, const char* doc) {
  return make_param(ParamType::texts, name, default_value, doc);
}

// A named set of values: preset = "paper" replaces the defaults, single values given by the user replace the preset.
// A plugin with presets also declares choice("preset", ...) with their names.
struct Preset {
  const char* name;
  const char* values;  // "consistency=1.0 covariance=0.04"
};

using ParamValue = std::variant<bool, std::int64_t, double, std::string, std::vector<double>, std::vector<std::string>>;

// Validated values, one for every declared parameter. Immutable. Asking for a name that was not declared, or with
// the wrong type, is a bug in the plugin and throws Error naming it.
class NMLBENCH_EXPORT Params {
 public:
  Params() = default;
  explicit Params(std::map<std::string, ParamValue> values) : values_(std::move(values)) {}

  bool boolean(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  const std::string& text(std::string_view name) const;  // text, choice and path
  std::filesystem::path path(std::string_view name) const { return text(name); }
  const std::vector<double>& reals(std::string_view name) const;
  const std::vector<std::string>& texts(std::string_view name) const;
  bool has(std::string_view name) const;

  const std::map<std::string, ParamValue>& values() const { return values_; }

  // What a tuner is constructed with: without the values that differ from head to head, which asking for is an Error.
  Params shared_by_heads(const std::set<std::string>& per_head) const;

 private:
  template <typename T>
  const T& get(std::string_view name, const char* type) const;

  std::map<std::string, ParamValue> values_;
  std::set<std::string> per_head_;  // names left out
};

}  // namespace nmlbench
