// The recipe of pre-training: the `optim` table of a [[pretrain]] section.
#pragma once

#include "config/declared.h"
#include "config/precision.h"
#include "plan/augmentation.h"

#include <cstdint>
#include <string>

namespace nmlbench {

inline constexpr ParamSpec kOptimParams[] = {
    choice("name", "sgd", "sgd|adamw", "optimiser"),
    real("lr", "0.1", "peak step size").range(0, 1e3),
    real("momentum", "0.9", "SGD momentum").range(0, 1),
    boolean("nesterov", "false", "Nesterov momentum for SGD"),
    real("weight_decay", "5e-4", "L2 penalty for SGD, decoupled decay for AdamW").range(0, 1e3),
    integer("epochs", "10", "passes over the training split").range(1, 1e6),
    integer("batch_size", "128", "samples in a step; an incomplete last batch is left out").in("samples").range(2, 1e6),
    choice("schedule", "cosine", "cosine|one-cycle|constant", "step size over all steps"),
    real("warmup", "0", "linear warm-up from 0 to the peak step size").in("epochs").range(0, 1e6),
    real("clip", "0", "largest gradient norm; 0 means no clipping").range(0, 1e9),
    choice("precision", "fp32", kPrecisions, "bf16 runs the network under autocast; tf32 needs a GPU"),
    augment_param("none", kAugmentations, "random translation or random resized crop, and horizontal flips"),
    shift_param(),
    crop_scale_param("0.08,1.0"),
    jitter_param(),
    real("ema", "0", "decay of an exponential moving average of the weights, which is then kept; 0 means none")
        .range(0, 0.999999),
    integer("threads", "1", "CPU threads of one training; as many checkpoints train at once as fit on all")
        .range(1, 1024),
};

struct Optim {
  std::string name;
  double lr = 0;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  std::int64_t epochs = 0;
  std::int64_t batch_size = 0;
  std::string schedule;
  double warmup = 0;  // epochs
  double clip = 0;    // 0: off
  Precision precision = Precision::fp32;
  double ema = 0;  // 0: off
  // Part of the recipe: sums over a batch round differently on another number of threads, and training amplifies it.
  int threads = 1;
  Augmentation augment;
  std::string canonical;  // JSON, part of the checkpoint's identity
};

// One Optim for each point of the product of the axes in `optim`.
std::vector<Optim> expand_optim(const PluginRef& optim);

}  // namespace nmlbench
