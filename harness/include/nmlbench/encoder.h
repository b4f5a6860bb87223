// An encoder turns samples into frozen features, and may know how to be pre-trained.
//
// Lifecycle: constructor (parameters only) -> build() -> [pre-training: pretrain_*] -> features in eval mode.
// Weights are the module's registered parameters and buffers; the harness saves and restores them. Methods run on one
// thread at a time.
#pragma once

#include <nmlbench/dataset.h>
#include <nmlbench/params.h>
#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

// The data an encoder will see.
struct InputInfo {
  SampleKind kind = SampleKind::image;
  std::vector<std::int64_t> sample_shape;  // [C, H, W], [D], or [] for text
  std::int64_t classes = 0;                // of the pre-training labels; 0 when there is no pre-training
};

// For build(): throw Error, naming the encoder and what the data are, unless they are images (with or without
// captions), features, or texts.
NMLBENCH_EXPORT void require_images(const InputInfo& input, const std::string& encoder);
NMLBENCH_EXPORT void require_features(const InputInfo& input, const std::string& encoder);
NMLBENCH_EXPORT void require_texts(const InputInfo& input, const std::string& encoder);

// How photographs were brought to one size before an encoder's weights saw them: the evaluation transform, as
// `pretrained_cfg` of timm states it. The words are those of data sets of images (`nmlbench plugins describe
// imagenet`).
struct Preprocessing {
  std::string resize = "crop";             // "squash"; or the shorter side to size / crop_pct, rounded down ("crop") or
                                           // up ("crop-ceil"), then the centre
  double crop_pct = 0.875;                 // in (0, 1]
  std::string interpolation = "bilinear";  // or "bicubic"; both antialiased, as Pillow's
};

// The input an encoder wants. The harness converts: grey <-> RGB, antialiased resize, (x/255 - mean) / std.
struct InputSpec {
  bool native = false;               // true: samples untouched (images as float32 in [0, 1], features as they are)
  std::int64_t channels = 3;         // 1 or 3
  std::int64_t height = 32;          // px
  std::int64_t width = 32;           // px
  std::vector<double> mean = {0.5};  // per channel, or one for all
  std::vector<double> std = {0.5};
  // Data sets that decode photographs take it for what the matrix does not say of size, resize, crop_pct and
  // interpolation, and cache what they decoded for each distinct one; images that are small already are brought to the
  // encoder's size in this way. Empty: the data set's own defaults, and bilinear squashing of what has another size.
  std::optional<Preprocessing> preprocessing = std::nullopt;
};

struct Batch {
  torch::Tensor x;  // float32 [B, C, H, W] or [B, D], prepared as InputSpec asks, on the device
  torch::Tensor y;  // int64 [B] pre-training targets; undefined while encoding
  // For the encoder's own tokenizer: B of them where samples are text (x is undefined) and, in pre-training on
  // image-text pairs, B captions, "" for an image that has lost its own.
  std::vector<Text> texts;
};

// Scores [B, classes] of images as features() gets them.
using ClassScores = std::function<torch::Tensor(const Batch& batch)>;

class NMLBENCH_EXPORT Encoder : public torch::nn::Module {
 public:
  ~Encoder() override;

  // Creates the layers and fills the weights from `init`. Throws Error when the input cannot be handled.
  virtual void build(const InputInfo& input, const Stream& init) = 0;

  // Depends on the parameters only: planning asks before build(). Square where it has a preprocessing.
  virtual InputSpec input() const = 0;

  // D. Valid after build().
  virtual std::int64_t feature_dim() const = 0;

  // T, where features() are T tokens of D / T columns, one after the other, of each sample, and zeros behind its last
  // one; 1: one vector. Of a single readout. Valid after build().
  virtual std::int64_t feature_tokens() const { return 1; }

  // The representation [B, D], float, that tuners receive.
  virtual torch::Tensor features(const Batch& batch) = 0;

  // Of encoders with parameters of Role::readout, a must there: from now on features() are those of each of `readouts`
  // side by side, from one pass over the network, and feature_dim() is their width. `readouts`: this encoder's
  // parameters with other values of that role; at least one. Valid after build(), which those values concern as little
  // as pre-training. Throws Error for values that do not fit the network.
  virtual void set_readouts(const std::vector<Params>& readouts);

  // False for encoders without weights to learn (pixels, identity, a frozen import).
  virtual bool trainable() const { return true; }

  // Scalar loss to minimise. Default, and a must where there are logits: their cross-entropy. Throws unless trainable.
  virtual torch::Tensor pretrain_loss(const Batch& batch);

  // True promises what Captured (nmlbench/captured.h) asks of both pretrain_*() and their gradients: on a GPU a step is
  // then recorded once and replayed. Random numbers that the host draws, or a schedule of its own, forbid it.
  virtual bool capturable() const { return false; }

  // Why several processes cannot share its training steps (nmlbench/data_parallel.h); "" when they can. That promises:
  // draws for samples are named by their places in the whole batch; where what becomes of a sample depends on others,
  // it is on those of all processes; and the mean of what pretrain_loss() gives in each of them, weighted by their
  // numbers of samples, is the loss of the whole batch, gradients included.
  virtual std::string data_parallel_obstacle() const;

  // Class scores [B, classes] of the pre-training head, for losses of recipes and clean labels; undefined without one.
  virtual torch::Tensor pretrain_logits(const Batch& batch);

  // Of an encoder that learned from captions and has no such head: scores of classes by sentences about them, at least
  // one for each class. Asked for in evaluation, for as long as the encoder lives; empty without that ability. Throws
  // Error when there are no sentences, since the data do not name their classes.
  virtual ClassScores zero_shot(const std::vector<std::vector<Text>>& prompts);
};

}  // namespace nmlbench
