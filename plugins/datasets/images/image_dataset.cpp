#include "image_dataset.h"

#include "content.h"
#include "workers.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>
#include <nmlbench/digest.h>
#include <nmlbench/surroundings.h>
#include <nmlbench/warning.h>

#include <algorithm>
#include <map>
#include <mutex>

namespace nmlbench::plugins {
namespace {

constexpr std::int64_t kResidentBytes = std::int64_t{1} << 30;  // above, rows come from the cache, not from memory
constexpr const char* kGoesOn = "; images that are not in the cache yet are decoded each time they are read";
constexpr std::int64_t kCheckRows = 256;  // rows decoded at a time when all are checked

ResizeOptions resize_options(const Params& params) {
  ResizeOptions options;
  options.size = params.integer("size");
  options.mode = resize_mode(params.text("resize")).value();
  options.crop_pct = params.real("crop_pct");
  options.interpolation = params.text("interpolation") == "bicubic" ? Interpolation::bicubic : Interpolation::bilinear;
  return options;
}

// What `size` may ask for at most: batches of larger images fill any memory.
void check_served_size(const std::string& name, std::int64_t width, std::int64_t height) {
  if (width * height <= kLargestServed * kLargestServed) return;
  throw DataError(name + ": is " + std::to_string(width) + " x " + std::to_string(height) +
                  " px, more than images may have that are served as they are (" + std::to_string(kLargestServed) +
                  " x " + std::to_string(kLargestServed) + " px); set `size`");
}

}  // namespace

// Images of a call that cannot be decoded: row -> why.
struct ImageDataset::Broken {
  std::map<std::int64_t, std::string> rows;
};

const ImageListing& ImageDataset::listing() {
  if (!listing_) listing_ = std::make_unique<ImageListing>(list());
  return *listing_;
}

// Identifies decoded rows: what they are made from and how. Bump the number when decoding or resizing changes.
std::string ImageDataset::decoded_id() {
  if (source_digest_.empty()) source_digest_ = listing().source->digest();
  Digest id;
  id.update("decoded-images/1").update(source_digest_);
  for (const char* name : {"resize", "interpolation", "colour", "decode"}) id.update(params_.text(name));
  for (const char* name : {"size", "max_pixels"}) id.update(std::to_string(params_.integer(name)));
  const double crop = params_.real("crop_pct");
  return id.update(&crop, sizeof crop).hex();
}

std::string ImageDataset::digest() {
  Digest digest;
  digest.update("images/1").update(decoded_id());
  const std::vector<std::int64_t>& labels = listing().labels;
  digest.update(labels.data(), labels.size() * sizeof labels[0]).update(std::to_string(listing().classes));
  for (const auto& group : listing().training_classes) {
    digest.update(group.data(), group.size() * sizeof group[0]).update("|");
  }
  for (const auto& right : listing().right_classes) {
    digest.update(right.data(), right.size() * sizeof right[0]).update("right");
  }
  digest.update(listing().sets.data(), listing().sets.size() * sizeof(std::int64_t));
  for (const std::string& caption : listing().captions) digest.update(caption);
  digest.update(limit_identity(params_.integer("limit"), [&] { return torch::tensor(labels, torch::kInt64); }));
  for (const char* name : {"limit_seed", "severity"}) digest.update(std::to_string(params_.integer(name)));
  return digest.update(params_.text("corruption")).update(params_.text("broken")).hex();
}

SplitInfo ImageDataset::open() {
  resize_ = resize_options(params_);
  decode_.max_pixels = params_.integer("max_pixels");
  if (params_.text("decode") == "scaled") decode_.at_least_px = 2 * shorter_side(resize_);
  channels_ = params_.text("colour") == "grey" ? 1 : 3;
  threads_ = params_.integer("threads") > 0 ? static_cast<int>(params_.integer("threads")) : surroundings().threads;

  const ImageListing& all = listing();
  const torch::Tensor labels = torch::tensor(all.labels, torch::kInt64);
  kept_ = stratified_limit(labels, params_.integer("limit"), params_.integer("limit_seed"));
  height_ = width_ = resize_.size;
  if (resize_.size == 0) {
    const std::int64_t first = kept_[0].item<std::int64_t>();
    try {
      const Image image = load(first);
      height_ = image.height;
      width_ = image.width;
      check_served_size(all.source->name(first), width_, height_);
    } catch (const BrokenImage& error) {
      throw DataError(all.source->name(first) + ": " + error.what() +
                      "; repair or remove it, or set `size` and broken = \"skip\"");
    }
  }
  open_cache();
  if (params_.text("broken") == "skip") leave_out_broken();
  labels_ = labels.index_select(0, kept_);

  SplitInfo info;
  info.size = kept_.size(0);
  info.full_size = labels.size(0);
  info.classes = all.classes;
  info.kind = all.captions.empty() ? SampleKind::image : SampleKind::image_text;
  info.sample_shape = {channels_, height_, width_};
  info.domain = params_.text("domain");
  info.class_names = all.class_names;
  info.training_classes = all.training_classes;
  info.right_classes = all.right_classes;
  info.sets = all.sets;
  info.fits_in_memory = info.size * channels_ * height_ * width_ <= kResidentBytes;
  return info;
}

std::optional<CacheSpace> ImageDataset::cache_space() const {
  const std::filesystem::path root = usable_cache_folder();
  if (!params_.boolean("cache") || root.empty()) return std::nullopt;
  const CacheSpace space = CacheSpace::below(root);
  if (space.limit() > 0) return space;
  space.make_room(0);  // nothing is to be kept
  return std::nullopt;
}

// A cache that cannot be had costs time only.
void ImageDataset::open_cache() {
  const std::optional<CacheSpace> space = cache_space();
  if (!space) return;
  if (listing().source->worth_caching()) {
    const std::string id = decoded_id();
    try {
      cache_ = std::make_unique<RowCache>(*space, id, static_cast<std::int64_t>(listing().labels.size()),
                                          channels_ * height_ * width_);
    } catch (const Error& error) {
      warn_once(std::string(error.what()) + kGoesOn);
    }
  }
  space->make_room(0);  // the limit may be lower than it was
}

void ImageDataset::keep(std::int64_t row, const std::uint8_t* pixels) const {
  if (!cache_ || cache_full_) return;
  try {
    cache_->write(row, pixels);
  } catch (const Error& error) {
    cache_full_ = true;
    warn_once(std::string(error.what()) + kGoesOn);
  }
}

// The image at its served size.
Image ImageDataset::load(std::int64_t row) const {
  return listing_->source->image(row, decode_, resize_);
}

// One row of the listing, from the cache or decoded and put there.
void ImageDataset::serve(std::int64_t row, std::uint8_t* out) const {
  if (cache_ && cache_->read(row, out)) return;
  const Image image = load(row);
  if (image.height != height_ || image.width != width_) {
    throw DataError(listing_->source->name(row) + ": is " + std::to_string(image.width) + " x " +
                    std::to_string(image.height) + " px and the first image " + std::to_string(width_) + " x " +
                    std::to_string(height_) + " px; set `size`");
  }
  write_planes(image, channels_, out);
  keep(row, out);
}

void ImageDataset::serve_crop(std::int64_t row, std::int64_t i, const ChooseCrop& choose, std::uint8_t* out) const {
  const Image whole = listing_->source->image(row, decode_, ResizeOptions{});
  const CropBox box = choose(i, whole.width, whole.height);
  if (box.width < 1 || box.height < 1 || box.left < 0 || box.top < 0 || box.left + box.width > whole.width ||
      box.top + box.height > whole.height) {
    throw Error("bug in the harness: a crop that is not inside its image");
  }
  const Image part =
      resized_part(whole, box.left, box.top, box.width, box.height, width_, height_, Interpolation::bicubic);
  write_planes(part, channels_, out);
}

// serve(row, i, pixels) for row i of the batch.
template <typename Serve>
ImageDataset::Broken ImageDataset::read_rows(const torch::Tensor& rows, std::uint8_t* out, const Serve& serve) const {
  Broken broken;
  std::mutex mutex;
  const auto* row = dense_data<std::int64_t>(rows);
  const std::int64_t bytes = channels_ * height_ * width_;
  for_each_index(rows.size(0), threads_, [&](std::int64_t i) {
    try {
      serve(row[i], i, out + i * bytes);
    } catch (const BrokenImage& error) {
      const std::lock_guard lock(mutex);
      broken.rows.emplace(row[i], error.what());
    }
  });
  return broken;
}

void ImageDataset::leave_out_broken() {
  Broken broken;
  torch::Tensor scratch = torch::empty({kCheckRows, channels_, height_, width_}, torch::kUInt8);
  for (std::int64_t begin = 0; begin < kept_.size(0); begin += kCheckRows) {
    const torch::Tensor rows = kept_.slice(0, begin, std::min(begin + kCheckRows, kept_.size(0))).contiguous();
    const auto whole = [&](std::int64_t row, std::int64_t, std::uint8_t* out) { serve(row, out); };
    broken.rows.merge(read_rows(rows, dense_data<std::uint8_t>(scratch), whole).rows);
  }
  if (broken.rows.empty()) return;
  const auto& [first, reason] = *broken.rows.begin();
  const std::string what = std::to_string(broken.rows.size()) + " of " + std::to_string(kept_.size(0)) +
                           " images are broken, the first is " + listing_->source->name(first) + ": " + reason;
  std::vector<std::int64_t> whole;
  for (std::int64_t i = 0; i < kept_.size(0); ++i) {
    const std::int64_t row = kept_[i].item<std::int64_t>();
    if (broken.rows.count(row) == 0) whole.push_back(row);
  }
  if (whole.empty()) throw DataError("no image is left: " + what);
  warn_once("left out: " + what);
  kept_ = torch::tensor(whole, torch::kInt64);
}

torch::Tensor ImageDataset::samples(const torch::Tensor& indices, torch::Device device) {
  const auto whole = [&](std::int64_t row, std::int64_t, std::uint8_t* out) { serve(row, out); };
  return send(corrupted(indices, whole), device);
}

torch::Tensor ImageDataset::crops(const torch::Tensor& indices, const ChooseCrop& choose) {
  return corrupted(indices,
                   [&](std::int64_t row, std::int64_t i, std::uint8_t* out) { serve_crop(row, i, choose, out); });
}

template <typename Serve>
torch::Tensor ImageDataset::corrupted(const torch::Tensor& indices, const Serve& serve) const {
  const torch::NoGradGuard no_grad;
  const torch::Tensor rows = kept_.index_select(0, indices).contiguous();
  torch::Tensor images = torch::empty({rows.size(0), channels_, height_, width_}, torch::kUInt8);
  const Broken broken = read_rows(rows, dense_data<std::uint8_t>(images), serve);
  if (!broken.rows.empty()) {
    const auto& [first, reason] = *broken.rows.begin();
    const std::string more = broken.rows.size() == 1
                                 ? ""
                                 : " (and " + std::to_string(broken.rows.size() - 1) + " more of the " +
                                       std::to_string(rows.size(0)) + " images read with it)";
    throw DataError(listing_->source->name(first) + ": " + reason + more +
                    "; repair or remove it, or set broken = \"skip\"");
  }
  return corrupt_images(images, rows, params_.text("corruption"), params_.integer("severity"));
}

std::vector<Text> ImageDataset::texts(const torch::Tensor& indices) {
  if (listing().captions.empty()) return Dataset::texts(indices);
  const torch::Tensor rows = kept_.index_select(0, indices);
  std::vector<Text> captions;
  for (std::int64_t i = 0; i < rows.size(0); ++i) {
    captions.push_back({listing().captions[static_cast<std::size_t>(dense_data<std::int64_t>(rows)[i])], {}});
  }
  return captions;
}

}  // namespace nmlbench::plugins
