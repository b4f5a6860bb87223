// What encoders of images share: how images are brought to them, and what they go through.
#pragma once

#include "support/resize_mode.h"

#include <nmlbench/encoder.h>
#include <nmlbench/params.h>

#include <functional>
#include <vector>

namespace nmlbench::plugins {

inline constexpr char kImageNetMean[] = "0.485,0.456,0.406", kImageNetStd[] = "0.229,0.224,0.225";

// Parameters that every family declares: how images are brought to its input, with the defaults of its usual weights:
// what timm's `pretrained_cfg` states of others. Defaults of "0" and "" stand for the variant's own, its UsualInput.
constexpr bool is_variants_own(const char* default_value) {
  return default_value[0] == '0' && default_value[1] == '\0';
}
#define NMLBENCH_INPUT_PARAMS(size, crop_pct, interpolation, mean, std)                                                \
  ::nmlbench::integer("size", size,                                                                                    \
                      ::nmlbench::plugins::is_variants_own(size) ? "side of the images it sees; 0: the variant's"      \
                                                                 : "side of the images it sees")                       \
      .in("px")                                                                                                        \
      .range(::nmlbench::plugins::is_variants_own(size) ? 0 : 8, 4096),                                                \
      ::nmlbench::choice("resize", "crop", ::nmlbench::kResizeModes,                                                   \
                         "photographs: squashed, or the shorter side to size / crop_pct (rounded down, or up), then "  \
                         "the centre"),                                                                                \
      ::nmlbench::real("crop_pct", crop_pct,                                                                           \
                       ::nmlbench::plugins::is_variants_own(crop_pct)                                                  \
                           ? "crop, crop-ceil: side of the crop by the shorter side; 0: the variant's"                 \
                           : "crop, crop-ceil: side of the crop by the shorter side")                                  \
          .range(::nmlbench::plugins::is_variants_own(crop_pct) ? 0 : 0.06, 1),                                        \
      ::nmlbench::choice("interpolation", interpolation, ::nmlbench::kInterpolations, "antialiased, as Pillow's"),     \
      ::nmlbench::reals("mean", mean,                                                                                  \
                        *mean == '\0' ? "subtracted from the colours, which are in [0, 1]; []: the variant's"          \
                                      : "subtracted from the colours, which are in [0, 1]"),                           \
      ::nmlbench::reals(                                                                                               \
          "std", std, *std == '\0' ? "what colours are divided by; []: the variant's" : "what colours are divided by") \
          .range(1e-6, 1e6)

// The input of a variant's usual weights, where it differs among the variants of a family.
struct UsualInput {
  std::int64_t size = 0;
  double crop_pct = 0;
  std::vector<double> mean = {}, std = {};
};

class ImageInput {
 public:
  // `name`: the plugin's, for messages. Throws Error for a size or crop_pct that is too small.
  ImageInput(const char* name, const Params& params, const UsualInput& usual = {});

  std::int64_t size() const { return size_; }
  InputSpec spec() const;
  // For build(): throws Error unless mean and std are of one or of three colours.
  void require_colours() const;

 private:
  const char* name_;
  std::int64_t size_;
  Preprocessing preprocessing_;
  std::vector<double> mean_, std_;
};

// Convolutions run fastest so.
void use_channels_last(torch::nn::Module& encoder);

// features(x), on a CPU and in evaluation a few images at a time: what a few layers make of them stays in the caches.
torch::Tensor by_rows(const torch::nn::Module& encoder, const torch::Tensor& x,
                      const std::function<torch::Tensor(const torch::Tensor&)>& features);

}  // namespace nmlbench::plugins
