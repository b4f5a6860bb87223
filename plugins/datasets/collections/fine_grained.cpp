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

ImageListing read_flowers102(const fs::path& root, const Params& params) {
  const fs::path label_file = root / "imagelabels.mat";
  const std::vector<std::int64_t> classes = mat_integers(label_file, "labels");
  std::vector<std::string> paths;
  std::vector<std::int64_t> labels;
  const std::map<std::string, std::vector<const char*>> sets = {
      {"train", {"trnid"}}, {"val", {"valid"}}, {"trainval", {"trnid", "valid"}}, {"test", {"tstid"}}};
  for (const char* set : sets.at(split_of(params))) {
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

ImageListing read_oxford_pets(const fs::path& root, const Params& params) {
  const fs::path file = root / "annotations" / (split_of(params) + ".txt");
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

ImageListing read_stanford_cars(const fs::path& root, const Params& params) {
  const bool train = split_of(params) == "train";
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

ImageListing read_fgvc_aircraft(const fs::path& root, const Params& params) {
  if (params.text("protocol") == "nml" && split_of(params) != "train" && split_of(params) != "test") {
    throw DataError("protocol = \"nml\" trains on split = \"train\" and tests on \"test\"; there is no \"" +
                    split_of(params) + "\"");
  }
  const std::map<std::string, const char*> class_files = {
      {"variant", "variants.txt"}, {"family", "families.txt"}, {"manufacturer", "manufacturers.txt"}};
  const std::string& level = params.text("level");
  std::vector<std::string> names;
  for (const Line& line : read_lines(root / "data" / class_files.at(level))) names.push_back(line.text);
  const fs::path file = root / "data" / ("images_" + level + "_" + split_of(params) + ".txt");
  std::vector<NamedImage> images;
  for (const Line& line : read_lines(file)) {  // IMAGE CLASS, and class names have blanks
    const std::size_t blank = line.text.find_first_of(" \t");
    if (blank == std::string::npos) throw DataError(at_line(file, line) + ": expected an image and its class");
    images.push_back({inside(root, "data/images/" + line.text.substr(0, blank) + ".jpg", at_line(file, line)),
                      line.text.substr(blank + 1)});
  }
  return make_listing(root, images, names);
}

ImageListing read_food101(const fs::path& root, const Params& params) {
  std::vector<std::string> names;
  for (const Line& line : read_lines(root / "meta/classes.txt")) names.push_back(line.text);
  const fs::path file = root / "meta" / (split_of(params) + ".txt");
  std::vector<NamedImage> images;
  for (const Line& line : read_lines(file)) {  // CLASS/IMAGE
    images.push_back(
        {inside(root, "images/" + line.text + ".jpg", at_line(file, line)), line.text.substr(0, line.text.find('/'))});
  }
  return make_listing(root, images, names);
}

ImageListing read_dtd(const fs::path& root, const Params& params) {
  const std::vector<std::string> lists = split_of(params) == "trainval" ? std::vector<std::string>{"train", "val"}
                                                                        : std::vector<std::string>{split_of(params)};
  std::vector<NamedImage> images;
  for (const std::string& list : lists) {
    const fs::path file = root / "labels" / (list + std::to_string(params.integer("partition")) + ".txt");
    for (const Line& line : read_lines(file)) {  // CLASS/IMAGE.jpg
      images.push_back(
          {inside(root, "images/" + line.text, at_line(file, line)), line.text.substr(0, line.text.find('/'))});
    }
  }
  return make_listing(root, images, sub_folders(root / "images"));
}

ImageListing read_caltech101(const fs::path& root, const Params& params) {
  const fs::path folder = root / "101_ObjectCategories";
  std::vector<std::string> names = sub_folders(folder);
  if (params.text("protocol") != "nml") std::erase(names, "BACKGROUND_Google");
  const Stream draws = Stream(static_cast<std::uint64_t>(params.integer("split_seed"))).at("caltech101");
  std::vector<NamedImage> kept;
  for (std::size_t c = 0; c < names.size(); ++c) {
    const std::vector<NamedImage> images = images_by_class(folder, {names[c]});
    const auto n = static_cast<std::int64_t>(images.size());
    const torch::Tensor order = draws.at(static_cast<std::int64_t>(c)).permutation(n);
    std::set<std::int64_t> train;
    for (std::int64_t i = 0; i < std::min(n, params.integer("per_class")); ++i) {
      train.insert(order[i].item<std::int64_t>());
    }
    for (std::int64_t i = 0; i < n; ++i) {
      if (split_of(params) == "all" || (train.count(i) > 0) == (split_of(params) == "train")) {
        kept.push_back(images[static_cast<std::size_t>(i)]);
      }
    }
  }
  return make_listing(folder, kept, names);
}

}  // namespace nmlbench::plugins
