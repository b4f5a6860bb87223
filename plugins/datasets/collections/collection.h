// Data sets of the literature in the folders and split files that their authors distribute. `path` is that folder, or
// the one that holds it under its usual name.
#pragma once

#include "datasets/images/image_dataset.h"
#include "datasets/images/listing.h"

#include <nmlbench/plugin.h>

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
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

// What the official distribution holds of the split that the parameters choose.
struct Official {
  struct File {
    std::string path;  // relative to the root
    std::string md5;
  };
  std::int64_t size = 0;  // images; 0: not known
  std::int64_t classes = 0;
  std::vector<File> files = {};
};

// One data set: all that is known of it, and how its split is read from the disk.
struct CollectionSpec {
  const char* name;
  const char* summary;
  const char* reference;
  std::span<const ParamSpec> params;
  // Usual names of the folder, separated by "|", and a file or folder that it must hold. "{split}" stands for the value
  // of the parameter `split`; so for others.
  const char* folders;
  const char* marker;
  Official (*official)(const Params& params);
  ImageListing (*read)(const std::filesystem::path& root, const Params& params);
};

class Collection : public ImageDataset {
 public:
  Collection(const CollectionSpec& spec, const Params& params) : ImageDataset(params), spec_(spec) {}

 protected:
  ImageListing list() final;

 private:
  std::filesystem::path find_root() const;
  // Throws DataError for a file that is not the official one.
  void check_files(const std::filesystem::path& root, const std::vector<Official::File>& files) const;

  const CollectionSpec& spec_;
};

template <const CollectionSpec& spec>
constexpr PluginEntry collection() {
  struct Plugin : Collection {
    explicit Plugin(const Params& params) : Collection(spec, params) {}
  };
  PluginEntry plugin = entry<Plugin>(spec.name, 1, spec.summary, spec.reference);
  plugin.params = spec.params.data();
  plugin.param_count = spec.params.size();
  return plugin;
}

// The split that the parameters choose, and the number that stands for it in a table.
const std::string& split_of(const Params& params);
std::int64_t size_of(const Params& params, std::initializer_list<std::pair<std::string_view, std::int64_t>> sizes);

// MD5 of a file, as the distributors give it. Throws DataError.
std::string md5_of_file(const std::filesystem::path& file);

}  // namespace nmlbench::plugins
