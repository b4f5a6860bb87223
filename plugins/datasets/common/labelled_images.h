// What readers of small image sets share: everything is decoded into memory once; a stratified limit, a corruption
// and the digest of the served content are applied on top.
#pragma once

#include <nmlbench/dataset.h>
#include <nmlbench/params.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench::plugins {

// What may be done to any split of images; NMLBENCH_LABELLED_IMAGES_PARAMS adds the name of its domain.
#define NMLBENCH_SUBSET_PARAMS                                                                                \
  ::nmlbench::integer("limit", "0", "use so many samples, the same share of each class; 0 uses all")          \
      .in("samples")                                                                                          \
      .range(0, 1e12),                                                                                        \
      ::nmlbench::integer("limit_seed", "0", "chooses the samples under a limit").range(0, 1e15),             \
      ::nmlbench::choice("corruption", "none", "none|gaussian-noise|blur|contrast|negative|rotate|translate", \
                         "a shifted version of the images, in the manner of MNIST-C and CIFAR-10-C"),         \
      ::nmlbench::integer("severity", "3", "of the corruption").range(1, 5)
#define NMLBENCH_LABELLED_IMAGES_PARAMS                                                    \
  ::nmlbench::text("domain", "", "names the test set; \"\" when the data have no domains") \
      .as(::nmlbench::Role::domain),                                                       \
      NMLBENCH_SUBSET_PARAMS

// Of data sets with an official distribution. `doctor --data` tries those that have it and `path`.
#define NMLBENCH_VERIFY_PARAM                                                                                        \
  ::nmlbench::choice("verify", "checksums", "nothing|checksums|all",                                                 \
                     "checksums: files whose official checksum is known, up to 256 MiB together; all: those of any " \
                     "size, and files and counts must be the official ones")                                         \
      .as(::nmlbench::Role::verify)                                                                                  \
      .resource()

struct LabelledImages {
  torch::Tensor images;  // uint8 [N, C, H, W]
  torch::Tensor labels;  // int64 [N]
  std::int64_t classes = 0;
  std::vector<std::string> class_names;
};

class LabelledImageDataset : public Dataset {
 public:
  explicit LabelledImageDataset(const Params& params) : params_(params) {}

  SplitInfo open() final;
  std::string digest() final;
  torch::Tensor labels() final { return data_.labels; }
  torch::Tensor rows() final { return kept_; }
  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) final;

 protected:
  // Decodes every sample. Throws DataError.
  virtual LabelledImages read() = 0;
  // The files that read() reads, and the parameters that choose what it takes from them, as text.
  virtual std::vector<std::filesystem::path> files() const = 0;
  virtual std::string choices() const { return ""; }

  const Params& params() const { return params_; }

 private:
  const LabelledImages& all();

  Params params_;
  std::optional<LabelledImages> all_;  // before the limit; only until open()
  LabelledImages data_;
  torch::Tensor kept_;  // int64, original number of each sample; names its corruption's draws
};

// int64, ascending: exactly `limit` of the samples, each class in its share (largest remainders; at least one of each
// as long as they suffice); all when limit is 0 or larger.
torch::Tensor stratified_limit(const torch::Tensor& labels, std::int64_t limit, std::int64_t seed);

// What a limit adds to a digest. Where shares rounded one by one come to another number, which once was what was kept,
// it is other text. `labels` are read only under a limit.
std::string limit_identity(std::int64_t limit, const std::function<torch::Tensor()>& labels);

// uint8 [B, C, H, W] -> the same shape. `number` names each sample's draws: int64 [B]. Severity 1 to 5.
torch::Tensor corrupt_images(const torch::Tensor& images, const torch::Tensor& number, const std::string& corruption,
                             std::int64_t severity);

}  // namespace nmlbench::plugins
