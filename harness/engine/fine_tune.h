// The training loop of encoder tuners (nmlbench/encoder_tuner.h), resumable after every epoch.
#pragma once

#include "engine/partial_file.h"
#include "engine/tuned_encoder.h"
#include "plan/augmentation.h"
#include "plan/optim.h"

#include <nmlbench/params.h>
#include <nmlbench/random.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

namespace nmlbench {

// What NMLBENCH_ENCODER_TUNER_PARAMS say.
struct FineTuning {
  Optim optim;  // AdamW
  bool probes = false;
  bool batch_statistics = false;
  bool task_views = false;    // augmentation is the task's affair
  Augmentation augmentation;  // else
};
FineTuning read_fine_tuning(const Params& params, const Location& where);

// The training rows of a fit.
struct FineTuneRows {
  std::int64_t size = 0;  // n
  // The rows at `places` (int64 [B] in [0, n), CPU) with their labels; `draws`, of the step, augment them.
  std::function<Batch(const torch::Tensor& places, const Stream& draws)> batch;
};

struct FineTuneHooks {
  PartialFile* partial = nullptr;  // none: nothing is kept
  const std::atomic<bool>* stop = nullptr;
  std::function<void(double rows)> advance = [](double) {};  // rows trained on, those before a resume too
  std::function<void(std::int64_t epoch, double loss)> epoch = [](std::int64_t, double) {};  // from 1
};

struct FineTuneReport {
  std::vector<float> loss;  // mean training loss of each epoch
  double rows = 0;          // trained on and timed: the first step of a run pays for warm-up
  double seconds = 0;       // that these took
  double all_seconds = 0;   // that all of them took, those before a resume too
};

// Steps of an epoch: the last one may have fewer rows, but not one alone where the statistics of batches count.
std::int64_t steps_of_epoch(std::int64_t rows, const FineTuning& how);

// Trains, from the last epoch that `partial` has. An epoch's order is the one of tuners on frozen features with the
// same `draws`. Throws Error when a loss is not finite, Interrupted when stopped.
FineTuneReport fine_tune(TunedEncoder& encoder, const FineTuning& how, const FineTuneRows& rows, const Stream& draws,
                         torch::Device device, const FineTuneHooks& hooks = {});

}  // namespace nmlbench
