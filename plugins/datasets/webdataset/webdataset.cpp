// Tar shards in the layout of WebDataset (https://github.com/webdataset/webdataset): image-text pairs, and image sets
// too large for a folder of files.
#include "datasets/images/image_dataset.h"
#include "datasets/images/listing.h"
#include "tar_shards.h"

#include <nmlbench/plugin.h>
#include <nmlbench/random.h>

#include <algorithm>
#include <functional>
#include <set>

#include <fnmatch.h>
#include <nlohmann/json.hpp>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Names a sample in messages, which of a million samples hardly one needs.
using Where = std::function<std::string()>;

class WebDataset : public ImageDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("path", nullptr, "folder with the shards, one shard, or a pattern as in `shards`").as(Role::data_folder),
      text("shards", "*.tar",
           "which files are shards; * and ? stand for anything, [0-4] for a digit, {000..009} for numbers"),
      choice("label", "cls", "cls|json|txt|folder|none",
             "from .cls (a number), a field of .json, .txt (a class name), the folder in the name, or all 0"),
      text("label_field", "label", "label = \"json\": the field, a number or a class name"),
      integer("classes", "0", "numeric labels must be below it; 0 takes the largest label and one")
          .as(Role::classes)
          .range(0, 1e7),
      path("class_file", "", "text file with the classes in the order of their labels; \"\" sorts the names found"),
      choice("caption", "none", "none|txt|json", "image-text pairs: where the text is"),
      text("caption_field", "caption", "caption = \"json\": the field"),
      integer("shard_seed", "-1", "shuffles the order of the shards; -1 keeps them sorted by name").range(-1, 1e15),
      NMLBENCH_IMAGE_PARAMS("0", "squash", "0.875", "bilinear"),
  };

  using ImageDataset::ImageDataset;

 protected:
  ImageListing list() override {
    const std::vector<fs::path> files = shard_files();
    std::vector<std::string> endings;
    for (const std::string& ending : {params().text("label"), params().text("caption")}) {
      if (ending != "folder" && ending != "none") endings.push_back(ending);
    }
    const std::vector<TarSample> samples = read_shards(files, endings, cache_space());
    ImageListing listing;
    listing.source = std::make_shared<TarImages>(files, samples);
    std::vector<std::string> labels;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const Where where = [&] { return listing.source->name(static_cast<std::int64_t>(i)); };
      if (samples[i].image < 0) throw DataError(where() + ": the sample has no image");
      labels.push_back(label_of(samples[i], where));
      if (params().text("caption") != "none") {
        listing.captions.push_back(field(samples[i], params().text("caption"), params().text("caption_field"), where));
      }
    }
    number(labels, listing);
    return listing;
  }

 private:
  // WebDataset's notation: "a-{08..10}.tar" is a-08.tar, a-09.tar, a-10.tar; "{x,y}" is x, y.
  static std::vector<std::string> without_braces(const std::string& pattern) {
    const std::size_t begin = pattern.find('{'), end = pattern.find('}', begin);
    if (begin == std::string::npos || end == std::string::npos) return {pattern};
    const std::string inner = pattern.substr(begin + 1, end - begin - 1);
    const std::size_t dots = inner.find("..");
    std::vector<std::string> choices;
    if (dots == std::string::npos) {
      choices = split_fields(inner, ',');
    } else {
      const std::string where = "shards = \"" + pattern + "\"";
      const std::int64_t first = parse_number(inner.substr(0, dots), where),
                         last = parse_number(inner.substr(dots + 2), where);
      constexpr std::int64_t kMost = 1'000'000;
      if (first < 0 || last < first || last - first > kMost)
        throw DataError(where + ": has an impossible range of numbers");
      for (std::int64_t number = first; number <= last; ++number) {
        const std::string digits = std::to_string(number);
        choices.push_back(std::string(dots - std::min(dots, digits.size()), '0') + digits);
      }
    }
    std::vector<std::string> all;
    for (const std::string& choice : choices) {
      for (std::string& rest : without_braces(pattern.substr(0, begin) + choice + pattern.substr(end + 1))) {
        all.push_back(std::move(rest));
      }
    }
    return all;
  }

  std::vector<fs::path> shard_files() const {
    fs::path root = params().path("path");
    std::string pattern = params().text("shards");
    std::error_code error;
    if (fs::is_regular_file(root, error)) return {root};
    if (!fs::exists(root, error) && root.filename().string().find_first_of("*?[{") != std::string::npos) {
      pattern = root.filename().string();
      root = root.parent_path();
    }
    if (fs::exists(root, error) && !fs::is_directory(root, error))
      throw DataError(root.string() + ": is no regular file");
    std::vector<std::string> there;
    for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
      there.push_back(it->path().filename().string());
    }
    if (error) throw DataError(root.string() + ": cannot be read: " + error.message());
    std::set<fs::path> found;
    for (const std::string& one : without_braces(pattern)) {
      const std::size_t before = found.size();
      for (const std::string& name : there) {
        if (::fnmatch(one.c_str(), name.c_str(), FNM_PERIOD) == 0) found.insert(root / name);
      }
      if (found.size() == before) throw DataError(root.string() + ": no file is called " + one);
    }
    std::vector<fs::path> files(found.begin(), found.end());
    std::sort(files.begin(), files.end());
    const std::int64_t seed = params().integer("shard_seed");
    if (seed < 0) return files;
    const auto n = static_cast<std::int64_t>(files.size());
    const torch::Tensor order = Stream(static_cast<std::uint64_t>(seed)).at("shards").permutation(n);
    std::vector<fs::path> shuffled;
    for (std::int64_t i = 0; i < n; ++i)
      shuffled.push_back(files[static_cast<std::size_t>(order[i].item<std::int64_t>())]);
    return shuffled;
  }

  std::string label_of(const TarSample& sample, const Where& where) const {
    const std::string& from = params().text("label");
    if (from == "none") return "0";
    if (from == "folder") {
      const std::string folder = fs::path(sample.key).parent_path().filename().string();
      if (folder.empty()) throw DataError(where() + ": lies in no folder, and label = \"folder\"");
      return folder;
    }
    std::string label = field(sample, from, params().text("label_field"), where);
    if (label.rfind("\xEF\xBB\xBF", 0) == 0) label.erase(0, 3);  // a byte-order mark
    label.erase(label.find_last_not_of(" \r\n\t") + 1);
    label.erase(0, label.find_first_not_of(" \r\n\t"));
    return label;
  }

  // The text of a member, or of one field of a JSON member.
  static std::string field(const TarSample& sample, const std::string& ending, const std::string& name,
                           const Where& where) {
    const auto found = sample.fields.find(ending);
    if (found == sample.fields.end()) throw DataError(where() + ": the sample has no ." + ending);
    if (ending != "json") return found->second;
    const json object = json::parse(found->second, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object() || !object.contains(name)) {
      throw DataError(where() + ".json: has no field \"" + name + "\"");
    }
    const json& value = object.at(name);
    if (!value.is_string() && !value.is_number()) {
      throw DataError(where() + ".json: the field \"" + name + "\" is " + value.dump().substr(0, 60) +
                      ", neither a number nor text");
    }
    return value.is_string() ? value.get<std::string>() : value.dump();
  }

  void number(const std::vector<std::string>& labels, ImageListing& listing) const {
    std::vector<std::string> names;
    if (const fs::path file = params().path("class_file"); !file.empty()) {
      for (const Line& line : read_lines(file)) names.push_back(line.text);
    }
    const std::string& from = params().text("label");
    const auto where_of = [&](std::size_t i) { return listing.source->name(static_cast<std::int64_t>(i)); };
    const bool numbers =
        from == "cls" || from == "none" || (from == "json" && labels_are_numbers(labels, names, where_of));
    if (!numbers && names.empty()) {
      const std::set<std::string> found(labels.begin(), labels.end());
      names.assign(found.begin(), found.end());
    }
    std::map<std::string, std::int64_t> position;
    for (const std::string& name : names) position.emplace(name, static_cast<std::int64_t>(position.size()));
    const std::int64_t declared = names.empty() ? params().integer("classes") : static_cast<std::int64_t>(names.size());
    std::int64_t largest = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const Where where = [&] { return listing.source->name(static_cast<std::int64_t>(i)); };
      if (!numbers && position.count(labels[i]) == 0) {
        throw DataError(where() + ": its class \"" + labels[i] + "\" is not in the class file");
      }
      const std::int64_t label = from == "json" && numbers ? class_number(labels[i], where())
                                 : numbers                 ? parse_number(labels[i], where())
                                                           : position.at(labels[i]);
      const std::int64_t most = declared > 0 ? declared : 10'000'000;
      if (label < 0 || label >= most) {
        throw DataError(where() + ": label " + labels[i] + " is outside [0, " + std::to_string(most) + ")");
      }
      largest = std::max(largest, label);
      listing.labels.push_back(label);
    }
    listing.classes = declared > 0 ? declared : largest + 1;
    listing.class_names = names;
  }
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-webdataset", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::WebDataset>("webdataset", 1,
                                                                "tar shards of images with labels or captions",
                                                                "https://github.com/webdataset/webdataset"));
