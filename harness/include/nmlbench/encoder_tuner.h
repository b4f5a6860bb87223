// An encoder tuner moves the encoder itself, whole or in part, together with a linear head on its features Z: full
// fine-tuning and what is built on it.
//
// The harness owns the loop: minibatches of the task's training rows, in the order in which tuners on frozen features
// see them; AdamW over all that moves, the head included; evaluation. A tuner says which weights move, how the head
// begins, what a step minimises and which weights are measured. Its constructor gets the parameters that the cells of a
// fit share. Methods run on one thread at a time.
//
// Notation: B rows, D features, C classes.
#pragma once

#include <nmlbench/tuner.h>

#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench {

// Parameters that every encoder tuner declares, since the loop reads them; put NMLBENCH_ENCODER_TUNER_PARAMS first in
// kParams. Defaults are PAPER.md's for tuning, but for the step size. `head`: the default of the parameter.
#define NMLBENCH_ENCODER_TUNER_PARAMS(default_lr, head)                                                                \
  ::nmlbench::real("lr", default_lr, "peak step size of AdamW, for the encoder and the head").range(0, 1e3),           \
      ::nmlbench::real("weight_decay", "1e-4", "decoupled weight decay of AdamW, on all that moves").range(0, 1e3),    \
      ::nmlbench::integer("epochs", "30", "passes over the training rows").range(1, 1e6).as(::nmlbench::Role::epochs), \
      ::nmlbench::integer("batch_size", "64", "rows in a minibatch; the last one of an epoch may be smaller")          \
          .in("rows")                                                                                                  \
          .range(1, 1e7)                                                                                               \
          .as(::nmlbench::Role::batch_size),                                                                           \
      ::nmlbench::choice("schedule", "cosine", "cosine|constant", "step size over all steps"),                         \
      ::nmlbench::real("warmup", "0", "linear warm-up to the peak step size").in("epochs").range(0, 1e6),              \
      ::nmlbench::real("clip", "0", "largest norm of all gradients together; 0: no clipping").range(0, 1e9),           \
      ::nmlbench::choice("precision", "fp32", "fp32|bf16", "bf16 runs the encoder under autocast"),                    \
      ::nmlbench::integer("threads", "1", "CPU threads of one fit; as many fits run at once as threads allow")         \
          .range(1, 1024),                                                                                             \
      ::nmlbench::choice("head", head, "random|probe",                                                                 \
                         "how the head begins: drawn, or as the linear probe on the untouched encoder's features")     \
          .as(::nmlbench::Role::first_head),                                                                           \
      ::nmlbench::real("probe_lr", "0.01", "head = probe: step size of the probe").range(0, 1e3),                      \
      ::nmlbench::integer("probe_epochs", "30", "head = probe: passes of the probe over the training rows")            \
          .range(1, 1e6),                                                                                              \
      ::nmlbench::choice("batch_norm", "frozen", "frozen|batch",                                                       \
                         "frozen: batch normalisation keeps the statistics of pre-training; batch: it takes each "     \
                         "minibatch's, and averages them for evaluation"),                                             \
      ::nmlbench::choice("augment", "task", "task|none|shift|shift-flip|crop|crop-flip",                               \
                         "of the training images, anew in each step; task: as the first view of the task's `views`, "  \
                         "and none without views"),                                                                    \
      ::nmlbench::integer("shift", "4", "augment = shift: largest translation").in("px").range(0, 1e4),                \
      ::nmlbench::reals("crop_scale", "0.8,1.0", "augment = crop: smallest and largest share of the area")             \
          .range(1e-4, 1),                                                                                             \
      ::nmlbench::real("jitter", "0", "augment: largest relative change of brightness, contrast and saturation")       \
          .range(0, 1)

// Which weights of the encoder move, of those that its features depend on.
struct EncoderUpdate {
  enum class Kind {
    all,
    biases,   // whatever is called a bias, those of normalisation included (BitFit: Ben Zaken et al., ACL 2022)
    low_rank  // W = W0 + alpha / rank * B A of the weights that `targets` name (LoRA: Hu et al., ICLR 2022)
  };
  Kind kind = Kind::all;
  // Of low_rank. A weight is a matrix [out, in]; the kernel of a convolution is one of [out, in * height * width]. A
  // [rank, in] begins as torch.nn.Linear's weights do, B [out, rank] at zero.
  std::int64_t rank = 8;
  double alpha = 8;
  // Names of parameters in which `*` stands for any text without a dot and `**` for any text. Each has to name a
  // weight. Empty: the two layers of the MLP blocks of transformers, under the names of timm and of transformers.
  std::vector<std::string> targets = {};
};

// float32: weight [C, D], bias [C].
struct LinearHead {
  torch::Tensor weight, bias;
};

class NMLBENCH_EXPORT EncoderTuner {
 public:
  virtual ~EncoderTuner();

  virtual EncoderUpdate update() const { return {}; }

  // The head that a fit begins with, on context.device. `draws` are those of the cell. `frozen`, one unit: the training
  // rows as the untouched encoder has them, where the parameter `head` says "probe", and else null. The default draws
  // the weight as a linear probe does (Kaiming-uniform, gain sqrt(2)), with bias 0.
  virtual LinearHead first_head(const StackShape& shape, const Stream& draws, const TrainingSet* frozen,
                                const Context& context);

  // What a step minimises: a scalar. z float32 [B, D], logits float32 [B, C], labels int64 [B]. Default: the mean
  // cross-entropy.
  virtual torch::Tensor loss(const torch::Tensor& z, const torch::Tensor& logits, const torch::Tensor& labels);

  // Of a cell with these parameters: the share s in [0, 1] of the tuned weights in the measured ones, (1 - s) first +
  // s tuned, the head and running statistics included. Cells that differ in per_head() parameters alone share one fit,
  // so that a curve of shares costs one.
  virtual double tuned_share(const Params& cell) const {
    (void)cell;
    return 1;
  }
};

}  // namespace nmlbench
