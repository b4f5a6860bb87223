// A run that several processes share: its stages, and the loop of each process, which takes the next stage that is
// neither finished nor somebody else's.
#pragma once

#include "cache/stage_board.h"
#include "plan/plan.h"

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench {

struct SharedStage {
  enum class Kind {
    encode,      // one split under one checkpoint; the first one of a checkpoint that is trained here trains it
    cells,       // all heads of a checkpoint and task, or one fit of an encoder tuner
    alignments,  // of all encoders with their clean twins
  };
  Kind kind = Kind::encode;
  std::string id;    // a hash of what it makes: the same in every process that has planned the same matrix
  std::string name;  // for people: "pre-train resnet-tiny, symmetric 0.3, seed 1"
  std::size_t checkpoint = 0;
  bool first = false;                  // of its checkpoint
  std::vector<std::size_t> encodings;  // of Kind::encode: Plan::encodings
  std::vector<std::size_t> cells;      // of Kind::cells: Plan::cells
  std::vector<std::size_t> after;      // the stages, of this list, that it needs
};

// The stages that finish `cells` (Plan::cells). `encodings_of`: what a cell needs. `measured`: checkpoints whose
// upstream accuracy is wanted, also where no cell is left of them.
std::vector<SharedStage> shared_stages(const Plan& plan, const std::set<std::size_t>& cells,
                                       const std::set<std::size_t>& measured,
                                       const std::function<std::set<std::size_t>(std::size_t cell)>& encodings_of);

struct SharedWork {
  // Does a stage, and says what the others have to know of it.
  std::function<nlohmann::json(const SharedStage& stage)> run;
  // What was said of a stage that is finished, here or elsewhere: before any stage that needs it.
  std::function<void(const SharedStage& stage, const nlohmann::json& about)> learn;
  std::function<void()> check;  // now and then; throws when this process is to stop
};

// Returns when all stages are finished, by whomever. Throws what `work` throws.
void share_stages(const std::vector<SharedStage>& stages, StageBoard& board, const SharedWork& work);

}  // namespace nmlbench
