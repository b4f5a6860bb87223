// A dataset plugin serves one split: samples and labels by index.
//
// One object is one split: `split`, `domain`, `path` and the like are its declared parameters. Methods are called
// from one thread at a time.
#pragma once

#include <nmlbench/error.h>
#include <nmlbench/torch.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

enum class SampleKind : std::uint32_t {
  image,       // uint8 [C, H, W]
  feature,     // float32 [D], what some encoder produced
  image_text,  // an image and its caption
  text,        // a sentence, or a pair of them
};

// One sample of SampleKind::text, or a caption, UTF-8.
struct Text {
  std::string first;
  std::optional<std::string> second;  // of tasks on pairs: the hypothesis, the answer
};

struct SplitInfo {
  std::int64_t size = 0;       // N
  std::int64_t full_size = 0;  // samples of the set of which this split serves a part (a `limit`); 0: N
  std::int64_t classes = 0;    // labels are in [0, classes)
  SampleKind kind = SampleKind::image;
  std::vector<std::int64_t> sample_shape;  // [C, H, W], [D], or [] for text
  std::string domain;                      // "photo"; names an OOD test set. "" when the data has no domains
  std::vector<std::string> class_names;    // empty, or `classes` of them
  // Test sets whose classes are not the training split's own (ImageNet-R, -A, ObjectNet): for each class, those of the
  // training split that stand for it; it scores the largest of their logits, and all others are left out. Empty: the
  // classes are the same.
  std::vector<std::vector<std::int64_t>> training_classes;
  // Test sets that accept several answers: for each sample, the classes that are right. Empty: the label alone.
  std::vector<std::vector<std::int64_t>> right_classes;
  // Test sets whose unit is a set of samples (the frames around a video's anchor frame), right when each of them is:
  // for each sample, the number of its set, counted from 0 in the order of samples. A set has the label of its first
  // sample, and is scored as the sample that is worst predicted. Empty: each sample for itself.
  std::vector<std::int64_t> sets;
  // Test sets on which more is measured than on every one, by the names of metrics (harness/records/metrics.h):
  // "matthews", "f1", "pearson", "spearman". The last two need `scores`.
  std::vector<std::string> metrics;
  // Test sets of a regression, whose class c stands for the score c (STS-B): for each sample, the score that people
  // gave it, which the label is a rounding of. Empty: labels are all there is.
  std::vector<double> scores;
  bool fits_in_memory = true;  // the harness may hold the whole split on the device
};

// A part of an image, px.
struct CropBox {
  std::int64_t left = 0, top = 0, width = 0, height = 0;
};
// Which part is wanted of the image at place `i` of a batch, which is width x height px. [any-thread]
using ChooseCrop = std::function<CropBox(std::int64_t i, std::int64_t width, std::int64_t height)>;

class NMLBENCH_EXPORT Dataset {
 public:
  virtual ~Dataset();

  // Opens files, checks them and describes the split. Called once, before anything else; the constructor does no I/O.
  // Throws DataError: what is wrong, in which file, what to do.
  virtual SplitInfo open() = 0;

  // Hash of the content that samples() and labels() serve: files' bytes, or parameters and revision for generated
  // data. Part of every identity that depends on this split. May be called before open(); throws DataError.
  virtual std::string digest() = 0;

  // int64 [N], CPU, in [0, classes).
  virtual torch::Tensor labels() = 0;

  // The samples at `indices` (int64 [B], CPU): uint8 [B, C, H, W] or float32 [B, D], on `device`. Not for text.
  virtual torch::Tensor samples(const torch::Tensor& indices, torch::Device device) = 0;

  // Parts of the images at `indices` (int64 [B], CPU), cut out of them as they were before the split's own resizing and
  // brought to the size of its samples, bicubic and antialiased: uint8 [B, C, H, W], CPU. The default cuts them out of
  // samples(): right where those are not resized.
  virtual torch::Tensor crops(const torch::Tensor& indices, const ChooseCrop& choose);

  // int64 [N], CPU: where each sample stands in the whole set, for splits that serve a part of it. What other files
  // hold for each sample of the set (human labels, features) is found by it. Undefined: the samples are the set, in
  // order.
  virtual torch::Tensor rows() { return {}; }

  // The samples at `indices` (int64 [B], CPU) as B texts; only for SampleKind::text and, as captions, which have no
  // second text, image_text.
  virtual std::vector<Text> texts(const torch::Tensor& indices);
};

}  // namespace nmlbench
