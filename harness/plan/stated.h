// Encoders that were pre-trained elsewhere, as far as the matrix says how.
#pragma once

#include "plan/plan.h"
#include "records/records.h"

#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

// The product of what is stated; a list that is empty is one unknown value.
std::vector<Stated> expand_stated(const StatedSpec& spec);

// "resnet50 symmetric 0.1 seed 0", for messages.
std::string stated_name(const Checkpoint& checkpoint);

// Its noise, for results; nothing when the matrix does not state it.
std::optional<NoiseRecord> stated_noise(const Checkpoint& checkpoint);

}  // namespace nmlbench
