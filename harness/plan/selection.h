// The [selection] section: by which rule one of several candidates of a tuner is chosen (docs/PROTOCOL.md,
// "Selection"). A list given for a tuner's parameter that `over` names is a grid of candidates and no axis.
#pragma once

#include "config/value.h"

#include <nmlbench/params.h>

#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench {

inline constexpr ParamSpec kSelectionParams[] = {
    choice("rule", "holdout", "holdout|k-fold|last|oracle",
           "holdout and k-fold score candidates on training rows that they are not fitted on; last takes the last one "
           "written; oracle scores them on the in-domain test sets"),
    real("holdout", "0.2", "share of each class's training rows that is held out (rule holdout)").range(0.001, 0.999),
    integer("folds", "5", "parts of the training rows, each held out once (rule k-fold)").range(2, 1000),
    choice("metric", "accuracy", "accuracy|loss", "the score: the larger accuracy or the smaller loss is better"),
    texts("over", nullptr, "tuner parameters whose lists are grids of candidates"),
    boolean("refit", "true", "the chosen candidate is fitted again on all training rows (rule holdout)"),
};

struct Selection {
  enum class Rule : std::uint8_t { holdout, folds, last, oracle };

  Rule rule = Rule::holdout;
  double holdout = 0.2;
  std::int64_t folds = 5;
  bool by_loss = false;  // else by accuracy
  std::vector<std::string> over;
  bool refit = true;
  std::string canonical;  // JSON of what a choice depends on under its rule
  Location where, where_over;

  // How many parts of the training rows are held out, one at a time, to score a candidate; 0: none is.
  std::int64_t parts() const;
  // The share of the training rows, about, that a candidate is then fitted on.
  double share_kept() const;
};

// Throws ConfigError.
Selection read_selection(const PluginRef& table);

}  // namespace nmlbench
