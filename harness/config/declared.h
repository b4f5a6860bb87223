// What the user gave for one plugin (or for the training recipe), checked against the declared parameters.
#pragma once

#include "config/value.h"

#include <nmlbench/params.h>

#include <string>
#include <utility>
#include <vector>

namespace nmlbench {

// Declared parameters of something that takes some.
struct Declaration {
  std::string name;  // for messages: "tuner nmtune", "optim"
  const ParamSpec* params = nullptr;
  std::size_t param_count = 0;
  const Preset* presets = nullptr;
  std::size_t preset_count = 0;
};

// One point of the product of axes: every declared parameter has its value.
struct DeclaredValues {
  Params params;
  // JSON object of the parameters that affect results: keys sorted, shortest numbers, without paths (the digests of
  // the data they lead to stand for them) and defaults of parameters that came later (ParamSpec::later).
  std::string canonical;
  std::string readout;  // JSON object of the parameters of Role::readout, which `canonical` leaves out; "" without any
  std::string stack_key;  // the same without the per-head parameters
  // What the user chose otherwise than the declaration or the preset: name and value as text, in the order of the
  // declaration; a path by its file name. Names a variant for people.
  std::vector<std::pair<std::string, std::string>> differences;
};

// Values: default < preset < what the user gave. A list given for a parameter that is not a list is an axis; the
// result is the product over all axes, the last given one fastest. A list of lists is an axis of lists. Relative paths
// become absolute against the folder of the matrix file. Throws ConfigError: unknown key (with a suggestion), wrong
// type, outside the range or choices, missing, equal values twice in one axis.
std::vector<DeclaredValues> expand_declared(const Declaration& declaration,
                                            const std::vector<std::pair<std::string, Value>>& given,
                                            const Location& where);

}  // namespace nmlbench
