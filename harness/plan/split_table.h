// The splits of a plan, each once.
#pragma once

#include "plan/inspector.h"
#include "plan/plan.h"

#include <map>
#include <string>
#include <vector>

namespace nmlbench {

class SplitTable {
 public:
  // Fills `splits`.
  SplitTable(const Catalog& catalog, const Inspector& inspector, std::vector<Split>& splits)
      : catalog_(catalog), inspector_(inspector), splits_(splits) {}

  // Where it stands; opens it when it is new.
  std::size_t add(const ResolvedPlugin& dataset);

  // The dataset of a reference without axes. Throws ConfigError when it has one.
  ResolvedPlugin only(const PluginRef& ref) const;

 private:
  const Catalog& catalog_;
  const Inspector& inspector_;
  std::vector<Split>& splits_;
  std::map<std::string, std::size_t> place_of_;
};

}  // namespace nmlbench
