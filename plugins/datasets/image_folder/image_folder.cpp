// Class sub-folders, the layout of torchvision's ImageFolder: CLASS/**/IMAGE, or SPLIT/CLASS/**/IMAGE.
#include "datasets/images/image_dataset.h"
#include "datasets/images/listing.h"

#include <nmlbench/plugin.h>
#include <nmlbench/warning.h>

#include <algorithm>
#include <cctype>
#include <set>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

class ImageFolder : public ImageDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "folder with a sub-folder for each class, or for each split (split_by = \"folder\")")
          .as(Role::data_folder),
      choice("split_by", "none", "none|folder|list|fraction",
             "all images; sub-folder SPLIT; the images that `list` names; a seeded share of each class"),
      text("split", "train", "split_by = \"folder\": the sub-folder; \"fraction\": train, or val for the held-out part")
          .as(Role::split),
      path("list", "", "split_by = \"list\": text file, one path a line, relative to `path`"),
      real("fraction", "0.2", "split_by = \"fraction\": share of each class that is held out").range(0, 1),
      integer("split_seed", "0", "split_by = \"fraction\": chooses what is held out").range(0, 1e15),
      path("class_file", "", "text file with the classes in the order of their labels, one a line; \"\" sorts by name"),
      NMLBENCH_IMAGE_PARAMS("0", "squash", "0.875", "bilinear"),
  };

  using ImageDataset::ImageDataset;

 protected:
  ImageListing list() override {
    const std::string& by = params().text("split_by");
    fs::path root = params().path("path");
    if (by == "folder") root /= inside(root, params().text("split"), "split");
    const std::vector<std::string> classes = class_names(root);
    std::vector<NamedImage> images = images_by_class(root, there(root, classes));
    if (by == "list") keep_listed(root, images);
    ImageListing listing = make_listing(root, images, classes);
    if (by == "fraction") return one_side(root, images, listing, classes);
    return listing;
  }

 private:
  // A class that a file names may have no folder in this split; a folder that it does not name is no class.
  std::vector<std::string> there(const fs::path& root, const std::vector<std::string>& classes) const {
    if (params().path("class_file").empty()) return classes;
    std::vector<std::string> found;
    std::set<std::string> tops;
    std::error_code error;
    for (const std::string& name : classes) {
      if (fs::is_directory(root / name, error)) found.push_back(name);
      tops.insert(fs::path(name).begin()->string());
    }
    std::vector<std::string> others = sub_folders(root);
    std::erase_if(others, [&](const std::string& name) { return tops.count(name) > 0; });
    if (!others.empty()) {
      warn_once(root.string() + ": left out " + std::to_string(others.size()) + " folders that " +
                params().path("class_file").string() + " does not name, the first is " + others[0]);
    }
    return found;
  }

  // The folder above the splits, taken for that of the classes, gives a task that means nothing.
  static void reject_splits(const fs::path& root, const std::vector<std::string>& names) {
    static const std::set<std::string> kTrain = {"train", "training", "trainval"},
                                       kOther = {"test", "testing", "val", "valid", "validation", "dev"};
    const auto find = [&](const std::set<std::string>& known) {
      return std::find_if(names.begin(), names.end(), [&](std::string name) {
        std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
        return known.count(name) > 0;
      });
    };
    const auto train = find(kTrain), other = find(kOther);
    if (train == names.end() || other == names.end()) return;
    throw DataError(root.string() + ": its folders " + *train + " and " + *other +
                    " look like splits, not classes; add split_by = \"folder\" and split = \"" + *train +
                    "\", or name the classes in `class_file`");
  }

  std::vector<std::string> class_names(const fs::path& root) const {
    const fs::path file = params().path("class_file");
    std::vector<std::string> names;
    if (file.empty()) {
      names = sub_folders(root);
      if (names.empty()) throw DataError(root.string() + ": has no sub-folders, and each should be a class");
      reject_splits(root, names);
    } else {
      for (const Line& line : read_lines(file)) names.push_back(inside(root, line.text, at_line(file, line)));
      if (names.empty()) throw DataError(file.string() + ": names no class");
    }
    return names;
  }

  void keep_listed(const fs::path& root, std::vector<NamedImage>& images) const {
    const fs::path file = params().path("list");
    if (file.empty()) throw DataError(root.string() + ": split_by = \"list\" needs `list`, the file with the paths");
    std::set<std::string> there, wanted;
    for (const NamedImage& image : images) there.insert(image.path);
    for (const Line& line : read_lines(file)) {
      const std::string name = inside(root, line.text, at_line(file, line));
      if (there.count(name) == 0) {
        throw DataError(at_line(file, line) + ": " + (root / name).string() +
                        " is not there, or in none of the classes");
      }
      wanted.insert(name);
    }
    std::erase_if(images, [&](const NamedImage& image) { return wanted.count(image.path) == 0; });
  }

  ImageListing one_side(const fs::path& root, const std::vector<NamedImage>& images, const ImageListing& all,
                        const std::vector<std::string>& classes) const {
    const std::string& split = params().text("split");
    if (split != "train" && split != "val") {
      throw DataError(root.string() + ": split = \"" + split + "\", and split_by = \"fraction\" makes train and val");
    }
    std::vector<NamedImage> kept;
    for (const std::size_t i :
         cut(all.labels, params().real("fraction"), params().integer("split_seed"), split == "val")) {
      kept.push_back(images[i]);
    }
    return make_listing(root, kept, classes);
  }
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-image-folder", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::ImageFolder>("image-folder", 1,
                                                                 "images in one sub-folder for each class", ""));
