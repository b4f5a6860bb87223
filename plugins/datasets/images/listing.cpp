#include "listing.h"

#include "support/text_file.h"

#include <nmlbench/error.h>
#include <nmlbench/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <set>

#include <sys/stat.h>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 40;  // folders below each other
constexpr std::size_t kLargestList = std::size_t{4} << 30;

using FolderId = std::pair<dev_t, ino_t>;

FolderId id_of(const fs::path& folder) {
  struct stat s {};
  if (::stat(folder.c_str(), &s) != 0) throw DataError(folder.string() + ": cannot be read");
  return {s.st_dev, s.st_ino};
}

struct Walk {
  std::vector<std::string> found;
  std::vector<FolderId> above;  // folders that contain the present one, links followed

  void into(const fs::path& folder, const std::string& prefix) {
    const FolderId id = id_of(folder);
    if (std::find(above.begin(), above.end(), id) != above.end()) {
      throw DataError(folder.string() + ": is a link to a folder that contains it; remove the link");
    }
    if (above.size() >= kDeepest) throw DataError(folder.string() + ": lies too deep below the data's folder");
    above.push_back(id);
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      std::error_code unreadable;
      const fs::file_status status = it->status(unreadable);  // of what a link points to
      if (status.type() == fs::file_type::directory) {
        into(it->path(), prefix + name + "/");
      } else if (unreadable == std::errc::too_many_symbolic_link_levels) {
        throw DataError(it->path().string() + ": is a link to itself; remove it");
      } else if (has_image_ending(name)) {
        found.push_back(prefix + name);
      }
    }
    if (error) throw DataError(folder.string() + ": cannot be read: " + error.message());
    above.pop_back();
  }
};

}  // namespace

bool has_image_ending(const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  static const std::set<std::string> known = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"};
  return known.count(ending) > 0;
}

std::vector<std::string> sub_folders(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw DataError(folder.string() + ": no such folder");
  std::vector<std::string> names;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code unreadable;
    if (name[0] != '.' && it->is_directory(unreadable)) names.push_back(name);
  }
  if (error) throw DataError(folder.string() + ": cannot be read: " + error.message());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> images_below(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw DataError(folder.string() + ": no such folder");
  Walk walk;
  walk.into(folder, "");
  std::sort(walk.found.begin(), walk.found.end());
  return walk.found;
}

std::string inside(const fs::path& folder, const std::string& name, const std::string& where) {
  const fs::path relative =
      fs::path(name).is_absolute() ? fs::path(name).lexically_relative(folder.lexically_normal()) : fs::path(name);
  const fs::path normal = relative.lexically_normal();
  if (name.empty() || normal.empty() || *normal.begin() == ".." || normal.is_absolute() ||
      name.find('\0') != std::string::npos) {
    throw DataError(where + ": \"" + name + "\" lies outside " + folder.string());
  }
  return normal.string();
}

ImageListing numbered_listing(const fs::path& root, std::vector<std::string> paths, std::vector<std::int64_t> labels,
                              std::int64_t classes, std::vector<std::string> class_names) {
  if (paths.empty()) throw DataError(root.string() + ": no image of this split is there");
  ImageListing listing;
  listing.source = std::make_shared<ImageFiles>(root, std::move(paths));
  listing.labels = std::move(labels);
  listing.classes = classes;
  listing.class_names = std::move(class_names);
  return listing;
}

ImageListing make_listing(const fs::path& root, const std::vector<NamedImage>& images,
                          const std::vector<std::string>& classes) {
  std::map<std::string, std::int64_t> number;
  for (const std::string& name : classes) {
    if (!number.emplace(name, static_cast<std::int64_t>(number.size())).second) {
      throw DataError(root.string() + ": the class \"" + name + "\" is named twice");
    }
  }
  std::vector<std::string> paths;
  std::vector<std::int64_t> labels;
  for (const NamedImage& image : images) {
    const auto found = number.find(image.label);
    if (found == number.end()) {
      throw DataError((root / image.path).string() + ": its class \"" + image.label + "\" is not among the " +
                      std::to_string(classes.size()) + " classes");
    }
    paths.push_back(image.path);
    labels.push_back(found->second);
  }
  return numbered_listing(root, std::move(paths), std::move(labels), static_cast<std::int64_t>(classes.size()),
                          classes);
}

std::vector<NamedImage> images_by_class(const fs::path& root, const std::vector<std::string>& classes,
                                        const std::string& prefix) {
  std::vector<NamedImage> images;
  for (const std::string& name : classes) {
    const std::string folder = prefix + name + "/";
    for (const std::string& image : images_below(root / (prefix + name))) images.push_back({folder + image, name});
  }
  return images;
}

std::vector<Line> read_lines(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) throw DataError(file.string() + ": no such file");
  const std::string text = read_text(file, kLargestList);
  std::vector<Line> lines;
  std::int64_t number = 0;
  for (std::size_t begin = text.rfind("\xEF\xBB\xBF", 0) == 0 ? 3 : 0; begin < text.size();) {
    std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::size_t next = end + 1;
    ++number;
    while (end > begin && (text[end - 1] == '\r' || text[end - 1] == ' ' || text[end - 1] == '\t')) --end;
    if (end > begin) lines.push_back({text.substr(begin, end - begin), number});
    begin = next;
  }
  return lines;
}

std::string at_line(const fs::path& file, const Line& line) {
  return file.string() + ":" + std::to_string(line.number);
}

std::int64_t parse_number(const std::string& text, const std::string& where) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    throw DataError(where + ": \"" + text + "\" is no number");
  }
  return value;
}

std::vector<std::string> split_fields(const std::string& text, char separator) {
  std::vector<std::string> fields;
  std::string field;
  for (const char c : text + separator) {
    if (c != separator) {
      field += c;
    } else if (separator != ' ' || !field.empty()) {
      fields.push_back(std::move(field));
      field.clear();
    }
  }
  return fields;
}

std::vector<std::size_t> cut(const std::vector<std::int64_t>& labels, double fraction, std::int64_t seed,
                             bool held_out) {
  std::map<std::int64_t, std::vector<std::size_t>> rows;
  for (std::size_t i = 0; i < labels.size(); ++i) rows[labels[i]].push_back(i);
  const Stream draws = Stream(static_cast<std::uint64_t>(seed)).at("held-out");
  std::vector<std::size_t> kept;
  for (const auto& [label, own] : rows) {
    const auto n = static_cast<std::int64_t>(own.size());
    const torch::Tensor order = draws.at(label).permutation(n);
    const std::int64_t out = std::llround(fraction * static_cast<double>(n));
    for (std::int64_t i = held_out ? 0 : out; i < (held_out ? out : n); ++i) {
      kept.push_back(own[static_cast<std::size_t>(order[i].item<std::int64_t>())]);
    }
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

}  // namespace nmlbench::plugins
