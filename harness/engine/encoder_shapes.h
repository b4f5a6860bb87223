// What building an encoder tells before it runs: how wide its features are, or why it cannot be built for these data.
#pragma once

#include "engine/process.h"
#include "plan/plan.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

namespace nmlbench {

class Isolation;

struct EncoderShape {
  std::int64_t dim = 0, tokens = 1;  // D and T
  Failure error;                     // why it cannot be built, or not with this readout
};

// Encoders with equal words are built alike, readouts apart: parameters, and what they are given.
std::string build_of(const Checkpoint& checkpoint, const InputInfo& input);

// Builds each kind of encoder once for each kind of input, and asks it about each readout.
class EncoderShapes {
 public:
  explicit EncoderShapes(Isolation* isolation) : isolation_(isolation) {}

  const EncoderShape& of(const Plan& plan, std::size_t checkpoint, std::size_t readout, std::size_t split);
  // Of the training features of a cell.
  const EncoderShape& of(const Plan& plan, const Cell& cell) {
    return of(plan, cell.checkpoint, cell.readout, plan.tasks[cell.task].train);
  }

 private:
  void build(const Plan& plan, std::size_t checkpoint, std::size_t split,
             std::map<std::string, EncoderShape>& of_readout);

  Isolation* isolation_;
  std::map<std::string, std::map<std::string, EncoderShape>> built_;  // of an encoder and its input, by readout
};

}  // namespace nmlbench
