// The part of a plan's demand that runs encoders and fills the cache.
#pragma once

#include "engine/demand_table.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace nmlbench {

class EncoderDemand {
 public:
  EncoderDemand(const Plan& plan, const ArtifactCache& cache, Isolation* isolation, EncoderShapes& shapes,
                DemandTable& table, Demand& demand)
      : plan_(plan), cache_(cache), isolation_(isolation), shapes_(shapes), table_(table), demand_(demand) {}

  // What `cells` (Plan::cells), all of which can run, need and the cache lacks.
  void add(const std::vector<std::size_t>& cells);
  bool all_weights_known() const { return all_weights_known_; }

 private:
  void add_encodings(const std::vector<std::size_t>& missing);
  void add_training(std::size_t checkpoint);
  void add_upstream(std::size_t checkpoint, bool at_hand);
  void add_alignments(const std::vector<std::size_t>& cells);
  std::int64_t weight_bytes(const Checkpoint& checkpoint);

  const Plan& plan_;
  const ArtifactCache& cache_;
  Isolation* isolation_;
  EncoderShapes& shapes_;
  DemandTable& table_;
  Demand& demand_;
  std::map<std::string, std::int64_t> weights_;
  bool all_weights_known_ = true;
};

}  // namespace nmlbench
