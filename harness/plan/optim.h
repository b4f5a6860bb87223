// The recipe of pre-training: the `optim` table of a [[pretrain]] section.
#pragma once

#include "config/declared.h"
#include "config/precision.h"
#include "plan/augmentation.h"

#include <cstdint>
#include <string>

namespace nmlbench {

inline constexpr ParamSpec kOptimParams[] = {
    choice("name", "sgd", "sgd|adamw|lamb", "optimiser"),
    real("lr", "0.1", "peak step size").range(0, 1e3),
    real("momentum", "0.9", "SGD momentum").range(0, 1),
    boolean("nesterov", "false", "Nesterov momentum for SGD"),
    real("weight_decay", "5e-4", "L2 penalty for SGD, decoupled decay for AdamW and LAMB").range(0, 1e3),
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
    choice("loss", "cross-entropy", "cross-entropy|bce",
           "of class scores; bce: binary cross-entropy of each class, mean over classes and samples")
        .later(),
    real("bce_threshold", "0.2",
         "bce: a target above it is 1, others 0, so that both classes of a mixed image are "
         "right; 0: targets as they are")
        .range(0, 0.999)
        .later(),
    real("label_smoothing", "0", "share of a target that is spread over all classes").range(0, 0.999).later(),
    real("mixup", "0", "a of Beta(a, a), the share of its own image in an image mixed with another; 0: no mixup")
        .range(0, 1e3)
        .later(),
    real("cutmix", "0", "the same for a box that is cut out of another image; 0: no cutmix").range(0, 1e3).later(),
    real("mix_prob", "1", "share of the batches that mixup or cutmix change").range(0, 1).later(),
    real("mix_switch", "0.5", "with both, the share of these batches that cutmix changes").range(0, 1).later(),
    real("random_erasing", "0", "share of images in which a box of 1/50 to 1/3 of the area becomes normal noise")
        .range(0, 1)
        .later(),
    integer("repeated_augmentation", "1",
            "times that a sample is in its batches, each time augmented anew; an epoch "
            "has as many steps, and so many times fewer samples")
        .range(1, 100)
        .later(),
    integer("rand_ops", "0", "operations of RandAugment on each image, after `augment`; 0: none").range(0, 100).later(),
    integer("rand_magnitude", "9", "of these operations").range(0, 30).later(),
};

// What becomes of images in a training step, besides augmentation of each by itself (engine/mixing.h).
struct Mixing {
  double mixup = 0, cutmix = 0;  // parameters of Beta distributions; 0: off
  double probability = 1, switch_probability = 0.5;
  double erasing = 0;  // share of images

  bool mixes() const { return mixup > 0 || cutmix > 0; }
};

// The loss of class scores (engine/label_loss.h).
struct LabelLoss {
  bool bce = false;
  double bce_threshold = 0;  // 0: targets as they are
  double smoothing = 0;
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
  std::int64_t repeats = 1;  // of a sample in an epoch
  Mixing mixing;
  LabelLoss loss;
  std::string canonical;  // JSON, part of the checkpoint's identity
};

// Whether it is another than the cross-entropy of whole labels, which encoders know themselves.
inline bool needs_logits(const Optim& optim) {
  return optim.loss.bce || optim.loss.smoothing > 0 || optim.mixing.mixes();
}

// One Optim for each point of the product of the axes in `optim`.
std::vector<Optim> expand_optim(const PluginRef& optim);

}  // namespace nmlbench
