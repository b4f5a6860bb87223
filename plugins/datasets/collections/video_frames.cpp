#include "video_frames.h"

#include "json_file.h"

#include <nmlbench/warning.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Classes = std::vector<std::int64_t>;

constexpr std::int64_t kReach = 10;  // frames on both sides of an anchor

struct VideoFrame {
  std::string path;                 // relative to the root
  std::vector<std::int64_t> right;  // the classes that are in it
};

struct Videos {
  std::vector<std::string> class_names;
  std::vector<std::vector<std::int64_t>> training_classes;  // of ImageNet-1K, for each class
  std::vector<std::vector<VideoFrame>> sets;                // the anchor first
};

void add_frame(ImageListing& listing, std::vector<std::string>& paths, const VideoFrame& frame, std::int64_t label,
               std::int64_t set) {
  paths.push_back(frame.path);
  listing.labels.push_back(label);
  listing.right_classes.push_back(frame.right);
  listing.sets.push_back(set);
}

// WordNet id -> number, of {"0": ["n01440764", "tench"], ...}
std::map<std::string, std::int64_t> numbers_of_synsets(const fs::path& file) {
  std::map<std::string, std::int64_t> numbers;
  const json names = read_json(file);
  for (const auto& [number, names_of_one] : names.items()) {
    const auto both = as<std::vector<std::string>>(names_of_one, number, file);
    if (both.empty()) wrong_type(file, number);
    numbers[both.front()] = parse_number(number, file.string());
  }
  return numbers;
}

// What annotators said: the names of the labels of each key; of several opinions on one the last counts.
std::map<std::string, std::set<std::string>> annotations_of(const fs::path& file) {
  const json all = read_json(file);
  const auto names = lookup<std::vector<std::string>>(all, "labels", file);
  std::map<std::string, std::set<std::string>> said;
  for (const json& one : lookup<json>(all, "annotations", file)) {
    std::set<std::string> labels;
    for (const std::int64_t label : lookup<Classes>(one, "labels", file)) {
      if (label < 0 || label >= static_cast<std::int64_t>(names.size())) wrong_type(file, "labels");
      labels.insert(names[static_cast<std::size_t>(label)]);
    }
    said[lookup<std::string>(one, "key", file)] = labels;
  }
  return said;
}

bool has_any(const std::set<std::string>& labels, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* name) { return labels.count(name) > 0; });
}

// "VIDEO_TIME/frame-NUMBER.jpg", of a path that ends so.
std::string key_of(const std::string& text) {
  const fs::path path = text;
  return path.parent_path().filename().string() + "/" + path.filename().string();
}

// What people said of the frames of YouTube-BB.
struct Review {
  std::map<std::string, std::set<std::string>> anchors;   // good ones: key -> names of classes and remarks
  std::set<std::pair<std::string, std::string>> similar;  // anchor, frame
};

Review read_review(const fs::path& metadata) {
  Review review;
  std::set<std::string> bad;
  for (const auto& [pair, said] : annotations_of(metadata / "pmk_labels.json")) {
    const std::size_t comma = pair.find(',');
    if (comma == std::string::npos)
      throw DataError((metadata / "pmk_labels.json").string() + ": \"" + pair + "\" is no pair");
    const std::string anchor = key_of(pair.substr(0, comma));
    if (has_any(said, {"bad-anchor"})) bad.insert(anchor);
    if (has_any(said, {"dissimilar", "problematic", "incorrect", "dont know", "deformation", "background-change",
                       "occlusion-increased", "blur-increase", "bad-anchor"}))
      continue;
    if (has_any(said, {"similar"})) review.similar.emplace(anchor, key_of(pair.substr(comma + 1)));
  }
  for (const auto& [key, said] : annotations_of(metadata / "anchor_labels.json")) {
    if (!has_any(said, {"good"}) || has_any(said, {"bad", "unsure"}) || bad.count(key_of(key)) > 0) continue;
    review.anchors[key_of(key)] = said;
  }
  return review;
}

// "VIDEO_TIME" -> the class of YouTube-BB that its anchor was taken for. The table numbers classes 22 and 23 the other
// way round than ytbb_class_index.json, as its readers know.
std::map<std::string, std::int64_t> first_classes(const fs::path& file) {
  std::map<std::string, std::int64_t> classes;
  for (const Line& line : read_lines(file)) {
    const std::vector<std::string> fields = split_fields(line.text, ',');
    if (fields.size() != 3) throw DataError(at_line(file, line) + ": expected ytid,time_ms,label");
    if (fields[2] == "label") continue;
    const std::int64_t number = parse_number(fields[2], at_line(file, line));
    classes[fields[0] + "_" + fields[1]] = number == 22 ? 23 : number == 23 ? 22 : number;
  }
  return classes;
}

// The classes of YouTube-BB that ImageNet-1K has.
struct YtbbClasses {
  std::map<std::int64_t, std::int64_t> own;     // number in YouTube-BB -> here
  std::map<std::string, std::int64_t> by_name;  // number in YouTube-BB
};

YtbbClasses read_classes(const fs::path& metadata, Videos& videos) {
  YtbbClasses classes;
  const fs::path name_file = metadata / "ytbb_class_index.json", map_file = metadata / "rev_class_idx_map.json";
  const json names = read_json(name_file), groups = read_json(map_file);
  std::map<std::int64_t, std::string> sorted;
  for (const auto& [number, name] : names.items()) {
    sorted[parse_number(number, name_file.string())] = as<std::string>(name, number, name_file);
  }
  for (const auto& [number, name] : sorted) {
    classes.by_name[name] = number;
    const std::string key = std::to_string(number);
    if (!groups.contains(key)) continue;
    classes.own[number] = static_cast<std::int64_t>(videos.class_names.size());
    videos.class_names.push_back(name);
    videos.training_classes.push_back(lookup<Classes>(groups, key, map_file));
  }
  return classes;
}

// Here, of the classes that were added to an anchor and the one it was taken for.
Classes classes_here(const YtbbClasses& classes, const std::set<std::string>& said, std::int64_t first) {
  std::set<std::int64_t> numbers = {first};
  for (const std::string& name : said) {
    if (const auto found = classes.by_name.find(name); found != classes.by_name.end()) numbers.insert(found->second);
  }
  Classes here;
  for (const std::int64_t number : numbers) {
    const auto found = classes.own.find(number);
    if (found == classes.own.end()) continue;
    // the first class leads, since it labels the set
    here.insert(number == first ? here.begin() : here.end(), found->second);
  }
  return here;
}

// The frames within 10 of an anchor that look like it.
std::vector<std::string> similar_frames(const Review& review, const std::string& anchor) {
  const std::size_t slash = anchor.find('/'), dash = anchor.rfind('-'), dot = anchor.rfind('.');
  if (dash == std::string::npos || dot == std::string::npos || dash < slash || dot < dash)
    throw DataError("anchor_labels.json: \"" + anchor + "\" is not named VIDEO_TIME/frame-NUMBER.jpg");
  const std::int64_t number = parse_number(anchor.substr(dash + 1, dot - dash - 1), "anchor_labels.json: " + anchor);
  std::vector<std::string> frames;
  for (std::int64_t i = -kReach; i <= kReach; ++i) {
    const std::string frame = anchor.substr(0, dash + 1) + std::to_string(number + i) + anchor.substr(dot);
    if (i != 0 && review.similar.count({anchor, frame}) > 0) frames.push_back(frame);
  }
  return frames;
}

// The listing of anchors, or of sets of frames, as the parameters ask. Throws DataError also for parameters that would
// tear sets apart.
ImageListing list_videos(const fs::path& root, const Params& params,
                         Videos (*videos)(const fs::path& root, const Params& params)) {
  if (params.integer("limit") > 0 || params.text("broken") == "skip") {
    throw DataError(root.string() +
                    ": limit and broken = \"skip\" would take frames out of their sets; leave them out");
  }
  const Videos all = videos(root, params);
  if (all.sets.empty()) throw DataError(root.string() + ": has no anchor frames");
  const bool alone = params.text("score") == "pm-0";
  ImageListing listing;
  std::vector<std::string> paths;
  for (std::size_t set = 0; set < all.sets.size(); ++set) {
    const std::vector<VideoFrame>& frames = all.sets[set];
    for (std::size_t f = 0; f < (alone ? 1 : frames.size()); ++f) {
      add_frame(listing, paths, frames[f], frames.front().right.front(), static_cast<std::int64_t>(set));
    }
  }
  if (alone) listing.sets.clear();
  ImageListing files = numbered_listing(root, std::move(paths), std::move(listing.labels),
                                        static_cast<std::int64_t>(all.class_names.size()), all.class_names);
  files.right_classes = std::move(listing.right_classes);
  files.sets = std::move(listing.sets);
  files.training_classes = all.training_classes;
  return files;
}

Videos imagenet_videos(const fs::path& root, const Params&) {
  const fs::path misc = root / "misc", set_file = root / "metadata" / "pmsets.json",
                 label_file = root / "metadata" / "labels.json", map_file = misc / "rev_wnid_map.json";
  const auto imagenet = numbers_of_synsets(misc / "imagenet_class_index.json");
  const fs::path class_file = misc / "imagenet_vid_class_index.json";
  const json classes = read_json(class_file), below = read_json(map_file);
  Videos videos;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const auto names = lookup<std::vector<std::string>>(classes, std::to_string(c), class_file);
    if (names.size() != 2) wrong_type(class_file, std::to_string(c));
    videos.class_names.push_back(names[1]);
    videos.training_classes.emplace_back();
    for (const std::string& synset : lookup<std::vector<std::string>>(below, names[0], map_file)) {
      const auto found = imagenet.find(synset);
      if (found == imagenet.end()) throw DataError(map_file.string() + ": " + synset + " is no class of ImageNet-1K");
      videos.training_classes.back().push_back(found->second);
    }
  }
  const json sets = read_json(set_file), labels = read_json(label_file);
  const auto frame = [&](const std::string& name) {
    VideoFrame one{inside(root, name, set_file.string()), lookup<Classes>(labels, name, label_file)};
    const auto count = static_cast<std::int64_t>(classes.size());
    if (one.right.empty() ||
        std::any_of(one.right.begin(), one.right.end(), [&](auto c) { return c < 0 || c >= count; }))
      throw DataError(label_file.string() + ": \"" + name + "\" has no class, or one outside [0, " +
                      std::to_string(count) + ")");
    return one;
  };
  for (const auto& [anchor, near] : sets.items()) {
    std::vector<VideoFrame>& set = videos.sets.emplace_back();
    set.push_back(frame(anchor));
    for (const std::string& name : as<std::vector<std::string>>(near, anchor, set_file)) {
      if (name != anchor) set.push_back(frame(name));
    }
  }
  return videos;
}

Videos youtube_videos(const fs::path& root, const Params& params) {
  const fs::path given = params.path("metadata"), metadata = given.empty() ? root / "metadata" : given;
  Videos videos;
  const YtbbClasses classes = read_classes(metadata, videos);
  const fs::path first_file = metadata / "ytbb_robustness_test_anchors_full.csv";
  const auto first = first_classes(first_file);
  const Review review = read_review(metadata);
  std::size_t others = 0;
  for (const auto& [anchor, said] : review.anchors) {
    const auto found = first.find(anchor.substr(0, anchor.find('/')));
    if (found == first.end()) throw DataError(first_file.string() + ": has no line of " + anchor);
    const Classes right = classes_here(classes, said, found->second);
    if (right.empty()) {
      ++others;
      continue;
    }
    const auto path = [&](const std::string& frame) {
      return inside(root / "ytbb_videos", frame, (metadata / "anchor_labels.json").string());
    };
    std::vector<VideoFrame>& set = videos.sets.emplace_back();
    set.push_back({"ytbb_videos/" + path(anchor), right});
    for (const std::string& frame : similar_frames(review, anchor))
      set.push_back({"ytbb_videos/" + path(frame), right});
  }
  if (others > 0) {
    warn_once(root.string() + ": " + std::to_string(others) + " of " + std::to_string(review.anchors.size()) +
              " anchors show no class of ImageNet-1K and are left out");
  }
  return videos;
}

}  // namespace

ImageListing read_imagenet_vid_robust(const fs::path& root, const Params& params) {
  return list_videos(root, params, imagenet_videos);
}

ImageListing read_ytbb_robust(const fs::path& root, const Params& params) {
  return list_videos(root, params, youtube_videos);
}

}  // namespace nmlbench::plugins
