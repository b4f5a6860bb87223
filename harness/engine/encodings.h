// Makes encodings exist: trains, measures and encodes whatever the cache lacks, several checkpoints at a time.
#pragma once

#include "cache/artifacts.h"
#include "engine/hooks.h"
#include "engine/process.h"
#include "plan/plan.h"

#include <nmlbench/torch.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace nmlbench {

class Isolation;

struct EngineOptions {
  torch::Device device = torch::kCPU;
  int threads = 1;  // CPU threads to use, all stages together
  bool fail_fast = false;
  const std::atomic<bool>* stop = nullptr;
  // Whether a checkpoint's upstream accuracy is wanted: asked for those with a validation split that can be read.
  std::function<bool(const Checkpoint&)> validate = [](const Checkpoint&) { return false; };
  Isolation* isolation = nullptr;  // runs the stages of the plugins that it covers
};

// The encodings that could not be made, and why. Throws Interrupted when stopped, and whatever the sink throws.
std::map<std::size_t, Failure> make_encodings(const Plan& plan, const std::set<std::size_t>& wanted,
                                              const EngineOptions& options, ArtifactCache& cache, ResultSink& sink,
                                              ProgressListener& progress);

}  // namespace nmlbench
