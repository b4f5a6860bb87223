#include "imagenet.h"

#include "json_file.h"

#include <algorithm>
#include <map>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::int64_t kClasses = 1000;

ImageListing by_synset(const fs::path& root) {
  std::vector<std::string> names = sub_folders(root);
  return make_listing(root, images_by_class(root, names), names);
}

// WordNet id -> label, of a list of all: label k is line k, and labels everywhere are in the order of the ids.
std::map<std::string, std::int64_t> numbered_synsets(const fs::path& file) {
  std::map<std::string, std::int64_t> number;
  std::string before;
  for (const Line& line : read_lines(file)) {
    const std::string id = line.text.substr(0, line.text.find_first_of(" \t,"));
    if (id <= before) {
      throw DataError(
          at_line(file, line) + ": " + id + " comes after " + before +
          "; labels of ImageNet-1K are in the order of the WordNet ids, so sort the list (and check that no "
          "labels were made with this order)");
    }
    number.emplace(id, static_cast<std::int64_t>(number.size()));
    before = id;
  }
  if (static_cast<std::int64_t>(number.size()) != kClasses) {
    throw DataError(file.string() + ": names " + std::to_string(number.size()) + " WordNet ids, not 1,000");
  }
  return number;
}

// Throws DataError when a list of all ids beside the data gives a class another label.
void check_order(const fs::path& root, const ImageListing& listing) {
  for (const char* name : {"imagenet_synsets.txt", "LOC_synset_mapping.txt"}) {
    std::error_code error;
    if (!fs::exists(root / name, error)) continue;
    const std::map<std::string, std::int64_t> number = numbered_synsets(root / name);
    for (std::size_t label = 0; label < listing.class_names.size(); ++label) {
      const auto found = number.find(listing.class_names[label]);
      if (found != number.end() && found->second == static_cast<std::int64_t>(label)) continue;
      throw DataError((root / name).string() + ": " + listing.class_names[label] + " has label " +
                      (found == number.end() ? "none" : std::to_string(found->second)) + " there and " +
                      std::to_string(label) +
                      " among the folders; a folder is missing, or one is no class of ImageNet-1K");
    }
  }
}

// Images without so many pixels on each side.
class WithoutBorder : public ImageSource {
 public:
  WithoutBorder(std::shared_ptr<const ImageSource> inner, std::int64_t px) : inner_(std::move(inner)), px_(px) {}

  std::string name(std::int64_t row) const override { return inner_->name(row); }
  Image image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const override {
    const Image whole = inner_->image(row, decode, ResizeOptions{});
    const std::int64_t width = whole.width - 2 * px_, height = whole.height - 2 * px_;
    if (width < 1 || height < 1) throw BrokenImage("is smaller than its border");
    return resize_image(resized_part(whole, px_, px_, width, height, width, height, resize.interpolation), resize);
  }
  std::string digest() const override { return inner_->digest() + " without " + std::to_string(px_) + " px"; }
  void check_present() const override { inner_->check_present(); }

 private:
  std::shared_ptr<const ImageSource> inner_;
  std::int64_t px_;
};

// root/WNID/** for some of the classes; label k is the k-th folder, and stands for its number among all.
ImageListing subset(const fs::path& root, const Params& params) {
  const fs::path given = params.path("synsets");
  const fs::path synsets = given.empty() ? params.path("path") / "imagenet_synsets.txt" : given;
  const std::map<std::string, std::int64_t> number = numbered_synsets(synsets);
  ImageListing listing = by_synset(root);
  for (const std::string& name : listing.class_names) {
    const auto found = number.find(name);
    if (found == number.end()) throw DataError((root / name).string() + ": is no class of " + synsets.string());
    listing.training_classes.push_back({found->second});
  }
  return listing;
}

// ImageNet class name -> its label in the usual order.
std::map<std::string, std::int64_t> labels_by_name(const fs::path& folder) {
  const fs::path order_file = folder / "pytorch_to_imagenet_2012_id.json";
  const json order = read_json(order_file);
  std::map<std::int64_t, std::int64_t> label_of_line;
  for (const auto& [label, line] : order.items()) {
    label_of_line[lookup<std::int64_t>(order, label, order_file)] = parse_number(label, order_file.string());
  }
  const fs::path name_file = folder / "imagenet_to_label_2012_v2";
  std::map<std::string, std::int64_t> labels;
  for (const Line& line : read_lines(name_file)) {
    const auto found = label_of_line.find(line.number - 1);
    if (found == label_of_line.end())
      throw DataError(at_line(name_file, line) + ": has no label in " + order_file.string());
    labels[line.text] = found->second;
  }
  return labels;
}

}  // namespace

ImageListing read_imagenet(const fs::path& root, const Params& params) {
  const fs::path folder = root / split_of(params);
  if (!sub_folders(folder).empty()) {
    ImageListing listing = by_synset(folder);
    check_order(root, listing);
    return listing;
  }
  // Kaggle's download keeps val flat: "ImageId,PredictionString" with lines "ILSVRC2012_val_1,n01751748 111 108 ..."
  fs::path file = root / "LOC_val_solution.csv";
  std::error_code error;
  if (!fs::exists(file, error)) file = root.parent_path().parent_path().parent_path() / "LOC_val_solution.csv";
  std::vector<NamedImage> images;
  std::map<std::string, bool> synsets;
  for (const Line& line : read_lines(file)) {
    const std::vector<std::string> fields = split_fields(line.text, ',');
    if (line.number == 1) continue;
    if (fields.size() != 2) throw DataError(at_line(file, line) + ": expected an image and its boxes");
    const std::string synset = fields[1].substr(0, fields[1].find(' '));
    images.push_back({inside(folder, fields[0] + ".JPEG", at_line(file, line)), synset});
    synsets[synset] = true;
  }
  std::vector<std::string> names;
  for (const auto& [name, there] : synsets) names.push_back(name);
  ImageListing listing = make_listing(folder, images, names);
  check_order(file.parent_path(), listing);
  return listing;
}

ImageListing read_imagenet_v2(const fs::path& root, const Params&) {
  std::vector<std::string> paths;
  std::vector<std::int64_t> labels;
  for (const NamedImage& image : images_by_class(root, sub_folders(root))) {
    const std::int64_t label = parse_number(image.label, (root / image.label).string());
    if (label < 0 || label >= kClasses) throw DataError((root / image.label).string() + ": is no class of ImageNet-1K");
    paths.push_back(image.path);
    labels.push_back(label);
  }
  return numbered_listing(root, std::move(paths), std::move(labels), kClasses);
}

ImageListing read_imagenet_sketch(const fs::path& root, const Params&) {
  return by_synset(root / "sketch");
}

ImageListing read_imagenet_r(const fs::path& root, const Params& params) {
  return subset(root, params);
}

ImageListing read_imagenet_a(const fs::path& root, const Params& params) {
  return subset(root, params);
}

ImageListing read_objectnet(const fs::path& root, const Params& params) {
  const fs::path folder = params.path("mappings").empty() ? root / "mappings" : params.path("mappings");
  const fs::path name_file = folder / "folder_to_objectnet_label.json",
                 map_file = folder / "objectnet_to_imagenet_1k.json";
  const json name_of_folder = read_json(name_file), imagenet_names = read_json(map_file);
  const std::map<std::string, std::int64_t> labels = labels_by_name(folder);
  std::vector<std::string> classes;
  std::vector<std::vector<std::int64_t>> groups;
  for (const auto& [own, name] : name_of_folder.items()) {  // sorted by folder
    const auto label = lookup<std::string>(name_of_folder, own, name_file);
    if (!imagenet_names.contains(label)) continue;  // one of the 200 that ImageNet does not have
    classes.push_back(inside(root, own, name_file.string()));
    groups.emplace_back();
    const auto names = lookup<std::string>(imagenet_names, label, map_file);
    for (std::size_t begin = 0; begin < names.size();) {  // "analog clock; digital clock"
      const std::size_t end = std::min(names.find("; ", begin), names.size());
      const auto found = labels.find(names.substr(begin, end - begin));
      if (found == labels.end()) throw DataError(map_file.string() + ": \"" + names + "\" is no class of ImageNet-1K");
      groups.back().push_back(found->second);
      begin = end + 2;
    }
  }
  ImageListing listing = make_listing(root / "images", images_by_class(root / "images", classes), classes);
  listing.training_classes = std::move(groups);
  if (const std::int64_t border = params.integer("border"); border > 0) {
    listing.source = std::make_shared<WithoutBorder>(listing.source, border);
  }
  return listing;
}

}  // namespace nmlbench::plugins
