// The conformance kit: what every plugin of a kind has to keep, checked on the library's own plugins.
#pragma once

#include "registry/registry.h"

#include <string>
#include <utility>
#include <vector>

namespace nmlbench::conformance {

struct Subject {
  ResolvedPlugin plugin;
};

struct Check {
  const char* name;
  void (*run)(const Subject&);  // reports through GoogleTest
};

const std::vector<Check>& encoder_checks();
const std::vector<Check>& noise_checks();
const std::vector<Check>& tuner_checks();
const std::vector<Check>& encoder_tuner_checks();
const std::vector<Check>& dataset_checks();

}  // namespace nmlbench::conformance
