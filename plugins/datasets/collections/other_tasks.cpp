#include "other_tasks.h"

#include "datasets/common/arrays.h"
#include "datasets/images/content.h"
#include "datasets/images/pixel_array.h"
#include "hdf5_arrays.h"
#include "mat_files.h"

#include <nmlbench/digest.h>

#include <algorithm>
#include <iterator>
#include <set>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

void check_rows(std::int64_t images, std::int64_t labels, const fs::path& file) {
  if (images == labels) return;
  throw DataError(file.string() + ": " + std::to_string(labels) + " labels for " + std::to_string(images) + " images");
}

// root/CLASS/**, split as NMLBENCH_OWN_SPLIT_PARAMS say.
ImageListing own_split(const fs::path& root, const Params& params) {
  const std::vector<std::string> names = sub_folders(root);
  const std::vector<NamedImage> all = images_by_class(root, names);
  std::vector<NamedImage> kept;
  if (params.text("split_by") == "list") {
    const fs::path file = params.path("list");
    if (file.empty()) throw DataError(root.string() + ": split_by = \"list\" needs `list`");
    std::set<std::string> wanted;
    for (const Line& line : read_lines(file)) wanted.insert(fs::path(line.text).filename().string());
    for (const NamedImage& image : all) {
      if (wanted.erase(fs::path(image.path).filename().string()) > 0) kept.push_back(image);
    }
    if (!wanted.empty()) throw DataError(file.string() + ": names " + *wanted.begin() + ", which is not there");
  } else if (params.text("split") == "all") {
    kept = all;
  } else {
    std::vector<std::int64_t> strata = make_listing(root, all, names).labels;
    if (params.text("protocol") == "nml") std::fill(strata.begin(), strata.end(), 0);
    const bool test = params.text("split") == "test";
    for (const std::size_t i : cut(strata, params.real("fraction"), params.integer("split_seed"), test)) {
      kept.push_back(all[i]);
    }
  }
  return make_listing(root, kept, names);
}

ImageListing npy_listing(const fs::path& x_file, const fs::path& y_file, std::int64_t first, std::int64_t rows,
                         std::int64_t classes) {
  const torch::Tensor x = read_npy(x_file), y = read_npy(y_file);
  check_rows(x.size(0), y.size(0), y_file);
  if (first + rows > x.size(0)) throw DataError(x_file.string() + ": has " + std::to_string(x.size(0)) + " rows only");
  Digest digest;
  digest.update(content_digest({x_file})).update(std::to_string(first));
  const auto source = std::make_shared<PixelArray>(x.slice(0, first, first + rows), x_file.string(), digest.hex());
  return array_listing(source, y.slice(0, first, first + rows), classes, y_file.string());
}

}  // namespace

ImageListing read_svhn(const fs::path& root, const Params& params) {
  const fs::path file = root / (split_of(params) + "_32x32.mat");
  const torch::Tensor x = mat_bytes(file, "X");  // [32, 32, 3, N]
  std::vector<std::int64_t> y = mat_integers(file, "y");
  if (x.dim() != 4) throw DataError(file.string() + ": X is not [32, 32, 3, N]");
  check_rows(x.size(3), static_cast<std::int64_t>(y.size()), file);
  for (std::int64_t& label : y) label = label == 10 ? 0 : label;  // MATLAB's digits end with 0
  const auto source = std::make_shared<PixelArray>(x.permute({3, 0, 1, 2}), file.string(), content_digest({file}));
  return array_listing(source, torch::tensor(y, torch::kInt64), 10, file.string());
}

ImageListing read_usps(const fs::path& root, const Params& params) {
  const fs::path file = root / "usps.h5";
  const torch::Tensor x = hdf5_array(file, "/" + split_of(params) + "/data", torch::kFloat64);
  const torch::Tensor y = hdf5_array(file, "/" + split_of(params) + "/target", torch::kInt64);
  if (x.dim() != 2 || x.size(1) != 256 || y.dim() != 1) throw DataError(file.string() + ": data are not [N, 256]");
  check_rows(x.size(0), y.size(0), file);
  const torch::Tensor pixels = (x * 255).round().clamp(0, 255).to(torch::kUInt8).view({-1, 16, 16});
  const auto source = std::make_shared<PixelArray>(pixels, file.string(), content_digest({file}) + split_of(params));
  return array_listing(source, y, 10, file.string());
}

ImageListing read_patch_camelyon(const fs::path& root, const Params& params) {
  const std::string stem = "camelyonpatch_level_2_split_" + split_of(params);
  const fs::path y_file = root / (stem + "_y.h5");
  const auto source = std::make_shared<Hdf5Images>(root / (stem + "_x.h5"), "x");
  const torch::Tensor y = hdf5_array(y_file, "y", torch::kInt64);  // [N, 1, 1, 1]
  check_rows(source->size(), y.numel(), y_file);
  ImageListing listing = array_listing(source, y.reshape({-1}), 2, y_file.string());
  listing.class_names = {"normal", "tumour"};
  return listing;
}

ImageListing read_eurosat(const fs::path& root, const Params& params) {
  return own_split(root / "2750", params);
}

ImageListing read_resisc45(const fs::path& root, const Params& params) {
  return own_split(root / "NWPU-RESISC45", params);
}

ImageListing read_rendered_sst2(const fs::path& root, const Params& params) {
  const std::vector<std::string> names = {"negative", "positive"};
  return make_listing(root / split_of(params), images_by_class(root / split_of(params), names), names);
}

ImageListing read_cifar10_1(const fs::path& root, const Params& params) {
  const fs::path x_file = root / ("cifar10.1_" + split_of(params) + "_data.npy");
  return npy_listing(x_file, root / ("cifar10.1_" + split_of(params) + "_labels.npy"), 0, read_npy(x_file).size(0), 10);
}

ImageListing read_cifar_c(const fs::path& root, const Params& params) {
  const fs::path file = inside(root, split_of(params) + ".npy", "split");
  const std::int64_t fifth = read_npy(root / file).size(0) / 5;
  return npy_listing(root / file, root / "labels.npy", fifth * (params.integer("strength") - 1), fifth,
                     params.integer("classes"));
}

Official official_domainnet(const Params& params) {
  struct Sizes {
    std::string_view domain;
    std::int64_t train, test;
  };
  constexpr Sizes kSizes[] = {{"clipart", 33525, 14604},    {"infograph", 36023, 15582}, {"painting", 50416, 21850},
                              {"quickdraw", 120750, 51750}, {"real", 120906, 52041},     {"sketch", 48212, 20916}};
  const auto* own = std::find_if(std::begin(kSizes), std::end(kSizes),
                                 [&](const Sizes& sizes) { return sizes.domain == params.text("domain"); });
  return {size_of(params, {{"train", own->train}, {"test", own->test}}), 345};
}

ImageListing read_domainnet(const fs::path& root, const Params& params) {
  const fs::path file = root / (params.text("domain") + "_" + split_of(params) + ".txt");
  std::vector<std::string> paths;
  std::vector<std::int64_t> labels;
  std::vector<std::string> names(345);
  for (const Line& line : read_lines(file)) {  // DOMAIN/CLASS/IMAGE LABEL
    const std::size_t blank = line.text.find_last_of(" \t");
    const std::int64_t label =
        parse_number(blank == std::string::npos ? "" : line.text.substr(blank + 1), at_line(file, line));
    if (label < 0 || label >= 345) throw DataError(at_line(file, line) + ": the label is outside [0, 345)");
    paths.push_back(inside(root, line.text.substr(0, blank), at_line(file, line)));
    labels.push_back(label);
    names[static_cast<std::size_t>(label)] = fs::path(paths.back()).parent_path().filename().string();
  }
  return numbered_listing(root, std::move(paths), std::move(labels), 345, names);
}

}  // namespace nmlbench::plugins
