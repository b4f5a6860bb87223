#include "fine_grained.h"

#include "mat_files.h"

#include <nmlbench/random.h>

#include <algorithm>
#include <map>
#include <set>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

// MATLAB counts from 1.
std::int64_t from_one(std::int64_t label, std::int64_t classes, const fs::path& file) {
  if (label < 1 || label > classes) {
    throw DataError(file.string() + ": class " + std::to_string(label) + " is outside [1, " + std::to_string(classes) +
                    "]");
  }
  return label - 1;
}

// "A" and "B" of "A B C", where both may not be there.
std::vector<std::string> at_least(const fs::path& file, const Line& line, std::size_t fields) {
  std::vector<std::string> found = split_fields(line.text, ' ');
  if (found.size() < fields) throw DataError(at_line(file, line) + ": the line is too short");
  return found;
}

}  // namespace

std::vector<std::string> Flowers102::folder_names() const {
  return {"flowers-102", "flowers102", "oxford_flowers102"};
}
std::string Flowers102::marker() const {
  return "setid.mat";
}
Official Flowers102::official() const {
  const std::map<std::string, std::int64_t> sizes = {
      {"train", 1020}, {"val", 1020}, {"trainval", 2040}, {"test", 6149}};
  return {sizes.at(split()),
          102,
          {{"imagelabels.mat", "e0620be6f572b9609742df49c70aed4d"}, {"setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c"}}};
}
ImageListing Flowers102::read(const fs::path& root) {
  const fs::path label_file = root / "imagelabels.mat";
  const std::vector<std::int64_t> classes = mat_integers(label_file, "labels");
  std::vector<std::string> paths;
  std::vector<std::int64_t> labels;
  const std::map<std::string, std::vector<const char*>> sets = {
      {"train", {"trnid"}}, {"val", {"valid"}}, {"trainval", {"trnid", "valid"}}, {"test", {"tstid"}}};
  for (const char* set : sets.at(split())) {
    for (const std::int64_t id : mat_integers(root / "setid.mat", set)) {
      if (id < 1 || id > static_cast<std::int64_t>(classes.size())) {
        throw DataError((root / "setid.mat").string() + ": image " + std::to_string(id) + " has no label");
      }
      const std::string digits = std::to_string(id);
      paths.push_back("jpg/image_" + std::string(5 - std::min<std::size_t>(5, digits.size()), '0') + digits + ".jpg");
      labels.push_back(from_one(classes[static_cast<std::size_t>(id - 1)], 102, label_file));
    }
  }
  return numbered_listing(root, std::move(paths), std::move(labels), 102);
}

std::vector<std::string> OxfordPets::folder_names() const {
  return {"oxford-iiit-pet", "oxford_pets", "pets"};
}
std::string OxfordPets::marker() const {
  return "annotations/trainval.txt";
}
Official OxfordPets::official() const {
  return {split() == "test" ? 3669 : 3680, 37};
}
ImageListing OxfordPets::read(const fs::path& root) {
  const fs::path file = root / "annotations" / (split() + ".txt");
  std::vector<std::string> paths;
  std::vector<std::int64_t> labels;
  std::vector<std::string> names(37);
  for (const Line& line : read_lines(file)) {
    if (line.text[0] == '#') continue;
    const std::vector<std::string> fields = at_least(file, line, 2);  // IMAGE CLASS SPECIES BREED
    paths.push_back(inside(root, "images/" + fields[0] + ".jpg", at_line(file, line)));
    labels.push_back(from_one(parse_number(fields[1], at_line(file, line)), 37, file));
    names[static_cast<std::size_t>(labels.back())] = fields[0].substr(0, fields[0].rfind('_'));
  }
  return numbered_listing(root, std::move(paths), std::move(labels), 37, names);
}

std::vector<std::string> StanfordCars::folder_names() const {
  return {"stanford_cars", "stanford-cars", "cars"};
}
std::string StanfordCars::marker() const {
  return "devkit/cars_meta.mat";
}
Official StanfordCars::official() const {
  return {split() == "train" ? 8144 : 8041, 196};
}
ImageListing StanfordCars::read(const fs::path& root) {
  const bool train = split() == "train";
  const fs::path file = root / (train ? "devkit/cars_train_annos.mat" : "cars_test_annos_withlabels.mat");
  const std::vector<std::string> names = mat_texts(root / "devkit/cars_meta.mat", "class_names");
  std::vector<std::string> paths;
  std::vector<std::int64_t> labels;
  for (const MatRecord& car : mat_records(file, "annotations", "fname", "class")) {
    paths.push_back(inside(root, (train ? "cars_train/" : "cars_test/") + car.text, file.string()));
    labels.push_back(from_one(car.number, static_cast<std::int64_t>(names.size()), file));
  }
  return numbered_listing(root, std::move(paths), std::move(labels), static_cast<std::int64_t>(names.size()), names);
}

std::vector<std::string> FgvcAircraft::folder_names() const {
  return {"fgvc-aircraft-2013b", "fgvc_aircraft"};
}
std::string FgvcAircraft::marker() const {
  return "data/images_variant_train.txt";
}
Official FgvcAircraft::official() const {
  const std::map<std::string, std::int64_t> sizes = {
      {"train", 3334}, {"val", 3333}, {"trainval", 6667}, {"test", 3333}};
  const std::map<std::string, std::int64_t> classes = {{"variant", 100}, {"family", 70}, {"manufacturer", 30}};
  return {sizes.at(split()), classes.at(params().text("level"))};
}
ImageListing FgvcAircraft::read(const fs::path& root) {
  if (params().text("protocol") == "nml" && split() != "train" && split() != "test") {
    throw DataError("protocol = \"nml\" trains on split = \"train\" and tests on \"test\"; there is no \"" + split() +
                    "\"");
  }
  const std::map<std::string, const char*> class_files = {
      {"variant", "variants.txt"}, {"family", "families.txt"}, {"manufacturer", "manufacturers.txt"}};
  const std::string& level = params().text("level");
  std::vector<std::string> names;
  for (const Line& line : read_lines(root / "data" / class_files.at(level))) names.push_back(line.text);
  const fs::path file = root / "data" / ("images_" + level + "_" + split() + ".txt");
  std::vector<NamedImage> images;
  for (const Line& line : read_lines(file)) {  // IMAGE CLASS, and class names have blanks
    const std::size_t blank = line.text.find_first_of(" \t");
    if (blank == std::string::npos) throw DataError(at_line(file, line) + ": expected an image and its class");
    images.push_back({inside(root, "data/images/" + line.text.substr(0, blank) + ".jpg", at_line(file, line)),
                      line.text.substr(blank + 1)});
  }
  return make_listing(root, images, names);
}

std::vector<std::string> Food101::folder_names() const {
  return {"food-101", "food101"};
}
std::string Food101::marker() const {
  return "meta/classes.txt";
}
Official Food101::official() const {
  return {split() == "train" ? 75750 : 25250, 101};
}
ImageListing Food101::read(const fs::path& root) {
  std::vector<std::string> names;
  for (const Line& line : read_lines(root / "meta/classes.txt")) names.push_back(line.text);
  const fs::path file = root / "meta" / (split() + ".txt");
  std::vector<NamedImage> images;
  for (const Line& line : read_lines(file)) {  // CLASS/IMAGE
    images.push_back(
        {inside(root, "images/" + line.text + ".jpg", at_line(file, line)), line.text.substr(0, line.text.find('/'))});
  }
  return make_listing(root, images, names);
}

std::vector<std::string> DescribableTextures::folder_names() const {
  return {"dtd"};
}
std::string DescribableTextures::marker() const {
  return "labels/train1.txt";
}
Official DescribableTextures::official() const {
  return {split() == "trainval" ? 3760 : 1880, 47};
}
ImageListing DescribableTextures::read(const fs::path& root) {
  const std::vector<std::string> lists =
      split() == "trainval" ? std::vector<std::string>{"train", "val"} : std::vector<std::string>{split()};
  std::vector<NamedImage> images;
  for (const std::string& list : lists) {
    const fs::path file = root / "labels" / (list + std::to_string(params().integer("partition")) + ".txt");
    for (const Line& line : read_lines(file)) {  // CLASS/IMAGE.jpg
      images.push_back(
          {inside(root, "images/" + line.text, at_line(file, line)), line.text.substr(0, line.text.find('/'))});
    }
  }
  return make_listing(root, images, sub_folders(root / "images"));
}

std::vector<std::string> Caltech101::folder_names() const {
  return {"caltech101", "caltech-101"};
}
std::string Caltech101::marker() const {
  return "101_ObjectCategories";
}
Official Caltech101::official() const {
  const bool nml = params().text("protocol") == "nml";
  const std::int64_t all = nml ? 9144 : 8677, classes = nml ? 102 : 101;
  const std::int64_t train = classes * params().integer("per_class");
  if (params().integer("per_class") > 30) return {0, classes};  // some classes have 31 images
  return {split() == "all" ? all : split() == "train" ? train : all - train, classes};
}
ImageListing Caltech101::read(const fs::path& root) {
  const fs::path folder = root / "101_ObjectCategories";
  std::vector<std::string> names = sub_folders(folder);
  if (params().text("protocol") != "nml") std::erase(names, "BACKGROUND_Google");
  const Stream draws = Stream(static_cast<std::uint64_t>(params().integer("split_seed"))).at("caltech101");
  std::vector<NamedImage> kept;
  for (std::size_t c = 0; c < names.size(); ++c) {
    const std::vector<NamedImage> images = images_by_class(folder, {names[c]});
    const auto n = static_cast<std::int64_t>(images.size());
    const torch::Tensor order = draws.at(static_cast<std::int64_t>(c)).permutation(n);
    std::set<std::int64_t> train;
    for (std::int64_t i = 0; i < std::min(n, params().integer("per_class")); ++i) {
      train.insert(order[i].item<std::int64_t>());
    }
    for (std::int64_t i = 0; i < n; ++i) {
      if (split() == "all" || (train.count(i) > 0) == (split() == "train")) {
        kept.push_back(images[static_cast<std::size_t>(i)]);
      }
    }
  }
  return make_listing(folder, kept, names);
}

}  // namespace nmlbench::plugins
