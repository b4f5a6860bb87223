// Packs cells into stacks: heads that train together in one pass of batched products (DESIGN 3, tuner).
#pragma once

#include "plan/plan.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace nmlbench {

// Heads on the same features in the same row order: one checkpoint's encoding of the training split, one seed.
struct Unit {
  std::size_t train = 0;  // Plan::encodings
  std::int64_t seed = 0;
  std::vector<std::size_t> cells;  // Plan::cells, one per head
};

struct Stack {
  std::vector<Unit> units;  // all with the same number of heads

  std::int64_t heads_per_unit() const { return static_cast<std::int64_t>(units.front().cells.size()); }
  std::int64_t heads() const { return static_cast<std::int64_t>(units.size()) * heads_per_unit(); }
  std::size_t first_cell() const { return units.front().cells.front(); }
};

// Packs every cell of the plan, whether or not it is already done: the packing, and with it the last bits of the
// numbers, must not depend on where an earlier run was stopped. `max_heads(cell)` bounds the heads of a stack like
// this cell's.
std::vector<Stack> make_stacks(const Plan& plan, const std::function<std::int64_t(const Cell&)>& max_heads);

}  // namespace nmlbench
