// Which training class each class of a test split is. Splits number their classes on their own, so that equal numbers
// are equal classes only where nothing names them.
#pragma once

#include "plan/plan.h"

namespace nmlbench {

struct ClassMatch {
  // [classes of the test split]: the training class of each, -1 for none; empty when all have the same number.
  std::vector<std::int64_t> classes;
  // Why the test split cannot be measured, or "".
  std::string obstacle;
};

// By name where both splits name their classes, or where one has numbers for names and the other no names; numbers from
// 0 for names of test classes are the training classes of these numbers. A training class that the test split lacks is
// no obstacle; a named class that training does not have is one. Splits that could not be read, and those that say
// themselves which classes they stand for (SplitInfo::training_classes), match as they are.
ClassMatch match_classes(const Split& train, const Split& test);

// What a message calls the data of a split: its first path, or the plugin's name.
std::string data_of(const Split& split);

}  // namespace nmlbench
