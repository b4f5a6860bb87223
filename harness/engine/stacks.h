// Packs cells into stacks: heads that train together in one pass of batched products (DESIGN 3, tuner).
#pragma once

#include "plan/plan.h"

#include <cstdint>
#include <functional>
#include <vector>

namespace nmlbench {

// Heads on the same rows and labels in the same order: one checkpoint's encoding of a task's training split, one noise
// of its labels, one fraction, one seed, one part held out.
struct Unit {
  std::size_t train = 0;           // Plan::encodings
  std::vector<std::size_t> cells;  // Plan::cells, one per head
};

struct Stack {
  std::vector<Unit> units;  // all with the same number of heads

  std::int64_t heads_per_unit() const { return static_cast<std::int64_t>(units.front().cells.size()); }
  std::int64_t heads() const { return static_cast<std::int64_t>(units.size()) * heads_per_unit(); }
  std::size_t first_cell() const { return units.front().cells.front(); }
};

// Cells with equal shapes and tuner structure may share a stack, whatever their checkpoint, task, fraction and, within
// a batch of [stop], seed.
struct HeadShape {
  std::int64_t dim = 0;      // D
  std::int64_t classes = 0;  // C
  std::int64_t tokens = 1;   // StackShape::tokens
};

// How many heads a stack may have: `cells`, all that could share it.
using StackBound = std::function<std::int64_t(const std::vector<std::size_t>& cells)>;

// Packs `cells` of the plan. They should be there whether or not they are already done: the packing must not depend on
// where an earlier run was stopped. Large training sets come first, so that the heads of a stack finish at about the
// same time.
std::vector<Stack> make_stacks(const Plan& plan, const std::vector<std::size_t>& cells,
                               const std::function<HeadShape(const Cell&)>& shape_of, const StackBound& bound);

// Whether two cells are heads of one unit when they share a stack.
bool see_the_same_rows(const Cell& a, const Cell& b);

}  // namespace nmlbench
