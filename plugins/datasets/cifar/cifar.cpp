// CIFAR-10 and CIFAR-100 in their binary layout (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label
// byte (CIFAR-100: coarse and fine), then 3072 bytes, red, green and blue planes of 32x32.
#include "datasets/common/files.h"
#include "datasets/common/labelled_images.h"
#include "support/text_file.h"

#include <nmlbench/plugin.h>
#include <nmlbench/warning.h>

#include <algorithm>
#include <sstream>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPixels = 3 * 32 * 32;
constexpr std::size_t kLargestNames = std::size_t{1} << 20;
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 33;

// What the official distribution holds; names of files in the order in which they are read.
struct Layout {
  struct ClassFile {
    const char* name;
    std::int64_t classes;
  };
  const char* folder;
  std::vector<std::string> train, test;
  ClassFile fine, coarse;
  std::int64_t label_bytes;
};

const Layout& layout_of(bool hundred) {
  static const Layout ten = {
      "cifar-10-batches-bin",
      {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
      {"test_batch.bin"},
      {"batches.meta.txt", 10},
      {"batches.meta.txt", 10},
      1};
  static const Layout of_hundred = {"cifar-100-binary",
                                    {"train.bin"},
                                    {"test.bin"},
                                    {"fine_label_names.txt", 100},
                                    {"coarse_label_names.txt", 20},
                                    2};
  return hundred ? of_hundred : ten;
}

std::vector<std::string> batches_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.rfind("data_batch_", 0) == 0 && it->path().extension() == ".bin") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool holds(const fs::path& folder, bool hundred) {
  const Layout& layout = layout_of(hundred);
  std::error_code error;
  return fs::exists(folder / layout.test[0], error) ||
         (hundred ? fs::exists(folder / layout.train[0], error) : !batches_in(folder).empty());
}

std::vector<std::string> names_in(const fs::path& file) {
  std::vector<std::string> names;
  std::error_code error;
  if (!fs::exists(file, error)) return names;
  std::istringstream in(read_text(file, kLargestNames));
  for (std::string line; std::getline(in, line);) {
    line.erase(line.find_last_not_of(" \r\t") + 1);
    if (!line.empty()) names.push_back(line);
  }
  return names;
}

// Whether the folder, or one in it, is the distribution of pickled Python objects.
bool holds_python_version(const fs::path& folder) {
  std::error_code error;
  for (const char* file : {"data_batch_1", "test_batch", "cifar-10-batches-py", "cifar-100-python", "meta"}) {
    if (fs::exists(folder / file, error)) return true;
  }
  return false;
}

class Cifar : public LabelledImageDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr,
           "folder with data_batch_*.bin and test_batch.bin, or train.bin and test.bin (CIFAR-100), or the one that "
           "holds it under its usual name")
          .as(Role::data_folder),
      choice("split", "train", "train|test", "which files are read").as(Role::split),
      choice("label_set", "fine", "fine|coarse", "CIFAR-100: 100 fine or 20 coarse classes"),
      NMLBENCH_LABELLED_IMAGES_PARAMS,
      NMLBENCH_VERIFY_PARAM,
  };

  using LabelledImageDataset::LabelledImageDataset;

 protected:
  std::vector<fs::path> files() const override {
    const Place place = find();
    std::vector<std::string> names = train() ? layout_of(place.hundred).train : layout_of(place.hundred).test;
    if (train() && !place.hundred) names = batches_in(place.folder);
    std::error_code error;
    if (names.empty() || !fs::exists(place.folder / names[0], error)) {
      if (holds_python_version(place.folder)) {
        throw DataError(place.folder.string() +
                        ": holds the Python version of CIFAR; the binary version is read (cifar-10-binary.tar.gz or "
                        "cifar-100-binary.tar.gz)");
      }
      throw DataError(place.folder.string() + ": neither " + (train() ? "data_batch_*.bin" : "test_batch.bin") +
                      " nor " + (train() ? "train.bin" : "test.bin") + " is there");
    }
    const std::size_t whole = (train() ? layout_of(place.hundred).train : layout_of(place.hundred).test).size();
    if (names.size() < whole) {
      warn_once(place.folder.string() + ": holds " + std::to_string(names.size()) + " of the " + std::to_string(whole) +
                " files of the split; the rest is left out");
    }
    std::vector<fs::path> files;
    for (const std::string& name : names) files.push_back(place.folder / name);
    return files;
  }

  std::string choices() const override { return params().text("label_set"); }

  LabelledImages read() override {
    const Place place = find();
    const Layout& layout = layout_of(place.hundred);
    const Layout::ClassFile& classes = params().text("label_set") == "coarse" ? layout.coarse : layout.fine;
    LabelledImages data;
    data.classes = classes.classes;
    std::vector<torch::Tensor> images, labels;
    for (const fs::path& file : files()) {
      std::vector<std::uint8_t> bytes = read_whole(file, kLargestFile);
      const torch::Tensor records = records_of(bytes, file, layout.label_bytes + kPixels);
      const bool second = place.hundred && &classes == &layout.fine;
      labels.push_back(records.select(1, second ? 1 : 0).to(torch::kInt64));
      check(labels.back(), data.classes, file);
      images.push_back(records.slice(1, layout.label_bytes).clone().view({-1, 3, 32, 32}));
    }
    data.images = torch::cat(images);
    data.labels = torch::cat(labels);
    data.class_names = names_in(place.folder / classes.name);
    if (static_cast<std::int64_t>(data.class_names.size()) != data.classes) data.class_names.clear();
    if (params().text("verify") == "all") verify(place.folder, layout, data.labels);
    return data;
  }

 private:
  struct Place {
    fs::path folder;
    bool hundred;
  };

  bool train() const { return params().text("split") == "train"; }

  // `path` itself, or the official folder in it.
  Place find() const {
    const fs::path path = params().path("path");
    std::error_code error;
    if (!fs::is_directory(path, error)) throw DataError(path.string() + ": no such folder");
    if (holds(path, true)) return {path, true};
    const bool ten = holds(path / layout_of(false).folder, false), hundred = holds(path / layout_of(true).folder, true);
    if (holds(path, false) || !(ten || hundred)) return {path, false};
    if (ten && hundred) {
      throw DataError(path.string() + ": holds " + layout_of(false).folder + " and " + layout_of(true).folder +
                      "; name one of them");
    }
    return {path / layout_of(hundred).folder, hundred};
  }

  static torch::Tensor records_of(std::vector<std::uint8_t>& bytes, const fs::path& file, std::int64_t record) {
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (size == 0 || size % record != 0) {
      throw DataError(file.string() + ": " + std::to_string(size) + " bytes are no whole number of records of " +
                      std::to_string(record) + " bytes; the file is truncated or of another kind");
    }
    return torch::from_blob(bytes.data(), {size / record, record}, torch::kUInt8);
  }

  static void check(const torch::Tensor& labels, std::int64_t classes, const fs::path& file) {
    const torch::Tensor bad = (labels >= classes).nonzero();
    if (bad.size(0) == 0) return;
    const auto row = bad[0][0].item<std::int64_t>();
    throw DataError(file.string() + ": record " + std::to_string(row) + " has label " +
                    std::to_string(labels[row].item<std::int64_t>()) + ", outside [0, " + std::to_string(classes) +
                    ")");
  }

  // Throws DataError unless files, counts and class names are those of the official distribution.
  void verify(const fs::path& folder, const Layout& layout, const torch::Tensor& labels) const {
    const std::vector<std::string>& names = train() ? layout.train : layout.test;
    std::error_code error;
    std::string missing;
    for (const std::string& name : names) {
      if (!fs::exists(folder / name, error)) missing += (missing.empty() ? "; not there: " : ", ") + name;
    }
    const std::int64_t expected = train() ? 50'000 : 10'000, found = labels.size(0);
    if (found < expected) {
      throw DataError(folder.string() + ": is partial: " + std::to_string(found) + " of the " +
                      std::to_string(expected) + " official images" + missing);
    }
    if (found > expected || !missing.empty()) {
      throw DataError(folder.string() + ": has " + std::to_string(found) + " images, the official distribution " +
                      std::to_string(expected) + missing);
    }
    verify_classes(folder, layout, labels);
  }

  void verify_classes(const fs::path& folder, const Layout& layout, const torch::Tensor& labels) const {
    for (const Layout::ClassFile& file : {layout.fine, layout.coarse}) {
      const fs::path names = folder / file.name;
      std::error_code error;
      if (!fs::exists(names, error)) throw DataError(names.string() + ": is not there");
      const auto count = static_cast<std::int64_t>(names_in(names).size());
      if (count != file.classes) {
        throw DataError(names.string() + ": names " + std::to_string(count) + " classes, not " +
                        std::to_string(file.classes));
      }
    }
    const torch::Tensor counts = torch::bincount(labels);
    const torch::Tensor odd = (counts != counts[0]).nonzero();
    if (odd.size(0) == 0) return;
    const auto label = odd[0][0].item<std::int64_t>();
    throw DataError(folder.string() + ": class " + std::to_string(label) + " has " +
                    std::to_string(counts[label].item<std::int64_t>()) + " images and class 0 " +
                    std::to_string(counts[0].item<std::int64_t>()) + "; officially all have the same number");
  }
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-cifar", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::Cifar>("cifar", 1, "CIFAR-10 and CIFAR-100 binary files",
                                                           "https://www.cs.toronto.edu/~kriz/cifar.html"));
