// Packs the cells of a plan into stacks, of a size that suits the machine.
#pragma once

#include "engine/encoder_shapes.h"
#include "engine/executor.h"
#include "engine/process.h"
#include "engine/stack_size.h"
#include "engine/stacks.h"
#include "plan/plan.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace nmlbench {

// Stacks of cells of a plan, of which some are wanted: the others in a stack run for the sake of its packing.
struct Work {
  const Plan& plan;
  std::function<bool(std::size_t)> wanted;  // of plan.cells
  std::vector<Stack> stacks = {};
  std::size_t packed = 0;  // stacks, before those without anything to do were dropped

  void add(std::vector<Stack> more);
  // Stacks in which nothing is wanted.
  void drop_idle();
};

class Packer {
 public:
  Packer(const ExecutorOptions& options, ArtifactCache& cache)
      : options_(options), cache_(cache), shapes_(options.isolation) {}

  // Why this cell cannot run: data that cannot be read, or an encoder that refuses them; else without a message.
  Failure obstacle_of(const Plan& plan, const Cell& cell);
  // Of cells without an obstacle. Throws Interrupted, and Error when the cache cannot be written.
  std::vector<Stack> pack(const Plan& plan, const std::vector<std::size_t>& cells);

 private:
  const ExecutorOptions& options_;
  ArtifactCache& cache_;
  EncoderShapes shapes_;
};

}  // namespace nmlbench
