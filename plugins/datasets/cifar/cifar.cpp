// CIFAR-10 and CIFAR-100 in their binary layout (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label
// byte (CIFAR-100: coarse and fine), then 3072 bytes, red, green and blue planes of 32x32.
#include "../common/files.h"
#include "../common/labelled_images.h"

#include <nmlbench/plugin.h>

#include <algorithm>
#include <fstream>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPixels = 3 * 32 * 32;
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 33;

class Cifar : public LabelledImageDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "folder with data_batch_*.bin and test_batch.bin, or train.bin and test.bin (CIFAR-100)"),
      choice("split", "train", "train|test", "which files are read"),
      choice("label_set", "fine", "fine|coarse", "CIFAR-100: 100 fine or 20 coarse classes"),
      NMLBENCH_LABELLED_IMAGES_PARAMS,
  };

  using LabelledImageDataset::LabelledImageDataset;

 protected:
  std::vector<fs::path> files() const override {
    const fs::path folder = params().path("path");
    const bool train = params().text("split") == "train";
    std::error_code error;
    if (!fs::is_directory(folder, error)) throw DataError(folder.string() + ": no such folder");
    if (hundred()) return {folder / (train ? "train.bin" : "test.bin")};
    std::vector<fs::path> files;
    if (!train) {
      files.push_back(folder / "test_batch.bin");
    } else {
      for (const auto& entry : fs::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename().string();
        if (name.rfind("data_batch_", 0) == 0 && entry.path().extension() == ".bin") files.push_back(entry.path());
      }
      std::sort(files.begin(), files.end());
    }
    if (files.empty() || !fs::exists(files[0], error)) {
      throw DataError(folder.string() + ": neither " + (train ? "data_batch_*.bin" : "test_batch.bin") + " nor " +
                      (train ? "train.bin" : "test.bin") + " is there");
    }
    return files;
  }

  std::string choices() const override { return params().text("label_set"); }

  LabelledImages read() override {
    const bool coarse = hundred() && params().text("label_set") == "coarse";
    const std::int64_t label_bytes = hundred() ? 2 : 1;
    const std::int64_t record = label_bytes + kPixels;
    LabelledImages data;
    data.classes = !hundred() ? 10 : coarse ? 20 : 100;
    std::vector<torch::Tensor> images, labels;
    for (const fs::path& file : files()) {
      std::vector<std::uint8_t> bytes = read_whole(file, kLargestFile);
      const auto size = static_cast<std::int64_t>(bytes.size());
      if (size == 0 || size % record != 0) {
        throw DataError(file.string() + ": " + std::to_string(size) + " bytes are no whole number of records of " +
                        std::to_string(record) + " bytes; the file is truncated or of another kind");
      }
      const torch::Tensor records = torch::from_blob(bytes.data(), {size / record, record}, torch::kUInt8);
      labels.push_back(records.select(1, hundred() && !coarse ? 1 : 0).to(torch::kInt64));
      check(labels.back(), data.classes, file);
      images.push_back(records.slice(1, label_bytes).clone().view({-1, 3, 32, 32}));
    }
    data.images = torch::cat(images);
    data.labels = torch::cat(labels);
    data.class_names = class_names(data.classes, coarse);
    return data;
  }

 private:
  bool hundred() const {
    const fs::path folder = params().path("path");
    std::error_code error;
    return fs::exists(folder / "train.bin", error) || fs::exists(folder / "test.bin", error);
  }

  static void check(const torch::Tensor& labels, std::int64_t classes, const fs::path& file) {
    const torch::Tensor bad = (labels >= classes).nonzero();
    if (bad.size(0) == 0) return;
    const auto row = bad[0][0].item<std::int64_t>();
    throw DataError(file.string() + ": record " + std::to_string(row) + " has label " +
                    std::to_string(labels[row].item<std::int64_t>()) + ", outside [0, " + std::to_string(classes) +
                    ")");
  }

  std::vector<std::string> class_names(std::int64_t classes, bool coarse) const {
    const char* name = !hundred() ? "batches.meta.txt" : coarse ? "coarse_label_names.txt" : "fine_label_names.txt";
    std::ifstream in(params().path("path") / name);
    std::vector<std::string> names;
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) names.push_back(line);
    }
    return static_cast<std::int64_t>(names.size()) == classes ? names : std::vector<std::string>{};
  }
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-cifar", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Cifar>("cifar", 1, "CIFAR-10 and CIFAR-100 binary files",
                                                           "https://www.cs.toronto.edu/~kriz/cifar.html"));
