// Data sets of the literature in the folders and split files that their authors distribute. `path` is that folder, or
// the one that holds it under its usual name.
#pragma once

#include "datasets/images/image_dataset.h"
#include "datasets/images/listing.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::plugins {

#define NMLBENCH_COLLECTION_PARAMS(size, resize, pct, interpolation) \
  NMLBENCH_IMAGE_PARAMS(size, resize, pct, interpolation), NMLBENCH_VERIFY_PARAM

constexpr ParamSpec data_folder(const char* doc) {
  return path("path", nullptr, doc).as(Role::data_folder);
}
constexpr ParamSpec split_choice(const char* default_value, const char* choices, const char* doc) {
  return choice("split", default_value, choices, doc).as(Role::split);
}

// Photos: 224 px after the protocol's evaluation transform (bicubic, crop_pct 0.95; timm).
#define NMLBENCH_PHOTO_PARAMS NMLBENCH_COLLECTION_PARAMS("224", "crop", "0.95", "bicubic")
// Images of one small size, served as they are.
#define NMLBENCH_SMALL_IMAGE_PARAMS NMLBENCH_COLLECTION_PARAMS("0", "squash", "1.0", "bilinear")

// What the official distribution holds.
struct Official {
  struct File {
    std::string path;  // relative to the root
    std::string md5;
  };
  std::int64_t size = 0;  // of the chosen split; 0: not known
  std::int64_t classes = 0;
  std::vector<File> files = {};
};

class Collection : public ImageDataset {
 public:
  using ImageDataset::ImageDataset;

 protected:
  ImageListing list() final;

  // The split as it is on the disk.
  virtual ImageListing read(const std::filesystem::path& root) = 0;
  virtual Official official() const = 0;
  // Usual names of the folder, and a file or folder that it must hold.
  virtual std::vector<std::string> folder_names() const = 0;
  virtual std::string marker() const = 0;

  const std::string& split() const { return params().text("split"); }

 private:
  std::filesystem::path find_root() const;
  // Throws DataError for a file that is not the official one.
  void check_files(const std::filesystem::path& root, const std::vector<Official::File>& files) const;
};

// MD5 of a file, as the distributors give it. Throws DataError.
std::string md5_of_file(const std::filesystem::path& file);

}  // namespace nmlbench::plugins
