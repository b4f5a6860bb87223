#include "imagenet.h"

#include "support/text_file.h"

#include <algorithm>
#include <map>

#include <nlohmann/json.hpp>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::int64_t kClasses = 1000;
constexpr std::size_t kLargestJson = std::size_t{64} << 20;

ImageListing by_synset(const fs::path& root) {
  std::vector<std::string> names = sub_folders(root);
  return make_listing(root, images_by_class(root, names), names);
}

// root/WNID/** for some of the classes; label k is the k-th folder, and stands for its number among all.
ImageListing subset(const fs::path& root, const Params& params) {
  const fs::path given = params.path("synsets");
  const fs::path synsets = given.empty() ? params.path("path") / "imagenet_synsets.txt" : given;
  std::map<std::string, std::int64_t> number;
  for (const Line& line : read_lines(synsets)) {
    number.emplace(line.text.substr(0, line.text.find_first_of(" \t")), static_cast<std::int64_t>(number.size()));
  }
  if (static_cast<std::int64_t>(number.size()) != kClasses) {
    throw DataError(synsets.string() + ": names " + std::to_string(number.size()) + " WordNet ids, not 1,000");
  }
  ImageListing listing = by_synset(root);
  for (const std::string& name : listing.class_names) {
    const auto found = number.find(name);
    if (found == number.end()) throw DataError((root / name).string() + ": is no class of " + synsets.string());
    listing.training_classes.push_back({found->second});
  }
  return listing;
}

json read_json(const fs::path& file) {
  const json value = json::parse(read_text(file, kLargestJson), nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) throw DataError(file.string() + ": is no JSON object");
  return value;
}

// The values of an object under its keys' meaning, or a DataError naming what is missing.
template <typename T>
T lookup(const json& object, const std::string& key, const fs::path& file) {
  if (!object.contains(key)) throw DataError(file.string() + ": has no \"" + key + "\"");
  try {
    return object.at(key).get<T>();
  } catch (const json::exception&) {
    throw DataError(file.string() + ": \"" + key + "\" is of the wrong type");
  }
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

std::vector<std::string> ImageNet::folder_names() const {
  return {"imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"};
}
std::string ImageNet::marker() const {
  return split();
}
Official ImageNet::official() const {
  return {split() == "train" ? 1281167 : 50000, kClasses};
}
ImageListing ImageNet::read(const fs::path& root) {
  const fs::path folder = root / split();
  if (!sub_folders(folder).empty()) return by_synset(folder);
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
  return make_listing(folder, images, names);
}

std::vector<std::string> ImageNetV2::folder_names() const {
  return {"imagenetv2-" + split() + "-format-val", "imagenet-v2/imagenetv2-" + split() + "-format-val"};
}
std::string ImageNetV2::marker() const {
  return "0";
}
Official ImageNetV2::official() const {
  return {10000, kClasses};
}
ImageListing ImageNetV2::read(const fs::path& root) {
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

std::vector<std::string> ImageNetSketch::folder_names() const {
  return {"imagenet-sketch", "ImageNet-Sketch"};
}
std::string ImageNetSketch::marker() const {
  return "sketch";
}
Official ImageNetSketch::official() const {
  return {50889, kClasses};
}
ImageListing ImageNetSketch::read(const fs::path& root) {
  return by_synset(root / marker());
}

std::vector<std::string> ImageNetR::folder_names() const {
  return {"imagenet-r"};
}
std::string ImageNetR::marker() const {
  return "n01443537";  // goldfish
}
Official ImageNetR::official() const {
  return {30000, 200};
}
ImageListing ImageNetR::read(const fs::path& root) {
  return subset(root, params());
}

std::vector<std::string> ImageNetA::folder_names() const {
  return {"imagenet-a"};
}
std::string ImageNetA::marker() const {
  return "n01498041";  // stingray
}
Official ImageNetA::official() const {
  return {7500, 200};
}
ImageListing ImageNetA::read(const fs::path& root) {
  return subset(root, params());
}

std::vector<std::string> ObjectNet::folder_names() const {
  return {"objectnet-1.0", "objectnet"};
}
std::string ObjectNet::marker() const {
  return "images";
}
Official ObjectNet::official() const {
  return {18574, 113};
}
ImageListing ObjectNet::read(const fs::path& root) {
  const fs::path folder = params().path("mappings").empty() ? root / "mappings" : params().path("mappings");
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
  ImageListing listing = make_listing(root / marker(), images_by_class(root / marker(), classes), classes);
  listing.training_classes = std::move(groups);
  return listing;
}

}  // namespace nmlbench::plugins
