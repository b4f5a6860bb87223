// The base of readers of image files: lists a split, decodes its images on all cores when they are asked for, brings
// them to one size and remembers the result in the decode-once cache.
#pragma once

#include "datasets/common/labelled_images.h"
#include "resize.h"
#include "row_cache.h"
#include "source.h"

#include <nmlbench/dataset.h>
#include <nmlbench/params.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>

namespace nmlbench::plugins {

inline constexpr std::int64_t kLargestServed = 4096;  // px, the largest `size`

// The defaults of a reader are its own: size 0 for images that have one size anyway.
#define NMLBENCH_DECODE_PARAMS(size, resize, pct, interpolation)                                                      \
  ::nmlbench::integer("size", size, "side of the served images; 0 keeps them as they are, all of one size")           \
      .in("px")                                                                                                       \
      .range(0, ::nmlbench::plugins::kLargestServed)                                                                  \
      .as(::nmlbench::Role::image_size),                                                                              \
      ::nmlbench::choice("resize", resize, ::nmlbench::kResizeModes,                                                  \
                         "squash to size x size, or the shorter side to size / crop_pct, then the centre; crop "      \
                         "rounds size / crop_pct down, as timm, crop-ceil up, as the authors of NMTune")              \
          .as(::nmlbench::Role::image_resize),                                                                        \
      ::nmlbench::real("crop_pct", pct, "crop, crop-ceil: side of the crop by the shorter side")                      \
          .range(0.05, 1)                                                                                             \
          .as(::nmlbench::Role::image_crop_pct),                                                                      \
      ::nmlbench::choice("interpolation", interpolation, ::nmlbench::kInterpolations, "antialiased, as Pillow's")     \
          .as(::nmlbench::Role::image_interpolation),                                                                 \
      ::nmlbench::choice("colour", "rgb", "rgb|grey", "three channels, or luma"),                                     \
      ::nmlbench::choice("decode", "full", "full|scaled",                                                             \
                         "scaled: large JPEGs come at 1/2, 1/4 or 1/8, not below twice the size; faster, not exact"), \
      ::nmlbench::integer("max_pixels", "89478485", "images with more count as broken").in("px").range(1, 4e9),       \
      ::nmlbench::choice("broken", "fail", "fail|skip",                                                               \
                         "images that cannot be decoded: an error that names them, or left out and counted"),         \
      ::nmlbench::boolean("cache", "true", "keep decoded images, and where they lie in shards, in the cache folder")  \
          .as(::nmlbench::Role::decoded_cache)                                                                        \
          .resource(),                                                                                                \
      ::nmlbench::integer("threads", "0", "that decode; 0 uses --threads").range(0, 1024).resource()
#define NMLBENCH_IMAGE_PARAMS(size, resize, pct, interpolation) \
  NMLBENCH_DECODE_PARAMS(size, resize, pct, interpolation), NMLBENCH_LABELLED_IMAGES_PARAMS

class ImageDataset : public Dataset {
 public:
  explicit ImageDataset(const Params& params) : params_(params) {}

  SplitInfo open() final;
  std::string digest() final;
  torch::Tensor labels() final { return labels_; }
  torch::Tensor rows() final { return kept_; }
  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) final;
  // Out of the images as they are decoded; a corruption comes after.
  torch::Tensor crops(const torch::Tensor& indices, const ChooseCrop& choose) final;
  std::vector<Text> texts(const torch::Tensor& indices) final;

 protected:
  // Finds the images without decoding them. Throws DataError.
  virtual ImageListing list() = 0;

  const Params& params() const { return params_; }
  // Where decoded images, and what else is slow to find, may be kept; nothing when that is not wanted.
  std::optional<CacheSpace> cache_space() const;

 private:
  struct Broken;

  const ImageListing& listing();
  std::string decoded_id();
  void open_cache();
  void keep(std::int64_t row, const std::uint8_t* pixels) const;
  Image load(std::int64_t row) const;
  void serve(std::int64_t row, std::uint8_t* out) const;
  void serve_crop(std::int64_t row, std::int64_t i, const ChooseCrop& choose, std::uint8_t* out) const;
  template <typename Serve>
  Broken read_rows(const torch::Tensor& rows, std::uint8_t* out, const Serve& serve) const;
  template <typename Serve>
  torch::Tensor corrupted(const torch::Tensor& indices, const Serve& serve) const;
  void leave_out_broken();

  Params params_;
  ResizeOptions resize_;
  DecodeOptions decode_;
  int channels_ = 3;
  int threads_ = 1;
  std::unique_ptr<ImageListing> listing_;
  std::string source_digest_;
  std::unique_ptr<RowCache> cache_;
  mutable std::atomic<bool> cache_full_{false};
  std::int64_t height_ = 0, width_ = 0;
  torch::Tensor kept_;    // int64 [N], rows of the listing that are served; names each sample's corruption's draws
  torch::Tensor labels_;  // int64 [N]
};

}  // namespace nmlbench::plugins
