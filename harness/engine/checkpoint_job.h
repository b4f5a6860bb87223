// One checkpoint: train it unless the cache has it, measure its upstream accuracy where that is wanted, then encode
// every split that cells want of it.
#pragma once

#include "engine/hooks.h"
#include "engine/pretrain.h"
#include "engine/process.h"
#include "engine/split_data.h"
#include "plan/plan.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

struct CheckpointJob {
  std::size_t checkpoint = 0;
  std::vector<std::size_t> encodings;  // Plan::encodings that the cache lacks
  bool validate = false;               // its upstream accuracy is wanted, and the cache lacks it
};

struct CheckpointJobResult {
  std::vector<StageRecord> stages;
  std::optional<NoiseRecord> noise;
  std::map<std::size_t, Failure> errors;  // encoding -> why it is missing
};

// What an encoder sees: the split it was trained on, or, as built, the split it encodes.
InputInfo input_of(const Plan& plan, const Checkpoint& checkpoint, std::size_t split);

// Images to train on and to encode, for progress.
double job_images(const Plan& plan, const CheckpointJob& job, const ArtifactCache& cache);

// For a SplitPool: how often these jobs acquire each split.
std::vector<std::size_t> uses_of_splits(const Plan& plan, const std::vector<CheckpointJob>& jobs,
                                        const ArtifactCache& cache);

// CPU threads of a job: those of the recipe for a checkpoint that is trained, so that its weights do not depend on what
// else the run computes; else `share`, since what an encoder says of one sample is not a sum over threads.
int job_threads(const Checkpoint& checkpoint, int share);

// Throws Interrupted only; every other error is in the result.
CheckpointJobResult run_checkpoint_job(const Plan& plan, const CheckpointJob& job, SplitPool& splits,
                                       const StageContext& context);

// Of a checkpoint whose encodings are all there already: from the cache, or measured again where that has lost it.
NoiseRecord known_noise(const Plan& plan, const Checkpoint& checkpoint, const ArtifactCache& cache, SplitPool& splits);

// With the upstream accuracy, if the cache has that.
NoiseRecord noise_record(const Plan& plan, const Checkpoint& checkpoint, const CheckpointFacts& facts,
                         const ArtifactCache& cache);

}  // namespace nmlbench
