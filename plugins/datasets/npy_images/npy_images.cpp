// Images in a NumPy array: CIFAR-10.1, CIFAR-10-C, CIFAR-10-W and kin.
#include "datasets/common/arrays.h"
#include "datasets/images/content.h"
#include "datasets/images/image_dataset.h"
#include "datasets/images/listing.h"
#include "datasets/images/pixel_array.h"

#include <nmlbench/digest.h>
#include <nmlbench/plugin.h>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

class NpyImages : public ImageDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("x", nullptr, "images: .npy of uint8 [N, H, W, 3] or [N, H, W]"),
      path("y", nullptr, "labels: .npy of integers [N], or a text file with one number a line"),
      integer("first", "0", "first row that is used; CIFAR-10-C: 10000 (severity - 1)").range(0, 1e12),
      integer("rows", "0", "rows that are used; 0 is all that follow. CIFAR-10-C: 10000").range(0, 1e12),
      integer("classes", "0", "labels must be below it; 0 takes the largest label and one")
          .as(Role::classes)
          .range(0, 1e7),
      NMLBENCH_IMAGE_PARAMS("0", "squash", "0.875", "bilinear"),
  };

  using ImageDataset::ImageDataset;

 protected:
  ImageListing list() override {
    const fs::path x_file = params().path("x"), y_file = params().path("y");
    torch::Tensor x = read_npy(x_file), y = read_labels(y_file);
    if (x.dim() == 0 || y.dim() != 1 || y.is_floating_point() || y.size(0) != x.size(0)) {
      throw DataError(y_file.string() + ": labels are an integer array [" +
                      std::to_string(x.dim() == 0 ? 0 : x.size(0)) + "], one for each row of x, found " +
                      c10::toString(y.scalar_type()) + " " + c10::str(y.sizes()));
    }
    const std::int64_t first = params().integer("first");
    const std::int64_t rows = params().integer("rows") > 0 ? params().integer("rows") : x.size(0) - first;
    if (rows <= 0 || rows > x.size(0) - first) {
      throw DataError(x_file.string() + ": has " + std::to_string(x.size(0)) +
                      " rows; first = " + std::to_string(first) +
                      " and rows = " + std::to_string(params().integer("rows")) + " ask for others");
    }
    Digest digest;
    digest.update(content_digest({x_file})).update(std::to_string(first)).update(std::to_string(rows));
    const auto source = std::make_shared<PixelArray>(x.slice(0, first, first + rows), x_file.string(), digest.hex());
    return array_listing(source, y.slice(0, first, first + rows), params().integer("classes"), y_file.string());
  }

 private:
  static torch::Tensor read_labels(const fs::path& file) {
    if (file.extension() == ".npy") return read_npy(file);
    std::vector<std::int64_t> labels;
    for (const Line& line : read_lines(file)) labels.push_back(parse_number(line.text, at_line(file, line)));
    return torch::tensor(labels, torch::kInt64);
  }
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-npy-images", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::NpyImages>("npy-images", 1,
                                                               "images in a NumPy array: CIFAR-10.1, CIFAR-10-C", ""));
