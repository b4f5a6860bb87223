// Images named by a list: text lines "PATH LABEL" (DomainNet's DOMAIN_train.txt and many others), or a CSV table.
#include "datasets/images/image_dataset.h"
#include "datasets/images/listing.h"

#include <nmlbench/plugin.h>

#include <algorithm>
#include <set>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

struct Row {
  std::string path, label, where;
};

class ImageList : public ImageDataset {
 public:
  static constexpr ParamSpec kParams[] = {
      path("list", nullptr, "text file of lines \"PATH LABEL\", or .csv/.tsv with a header; may end in .gz"),
      path("root", "", "folder that the paths are relative to; \"\" is the list's own"),
      text("path_column", "path", "CSV: header of the column with the paths"),
      text("label_column", "label", "CSV: header of the column with the labels"),
      integer("classes", "0", "numeric labels must be below it; 0 takes the largest label and one")
          .as(Role::classes)
          .range(0, 1e7),
      path("class_file", "", "text file with the classes in the order of their labels, one a line"),
      NMLBENCH_IMAGE_PARAMS("0", "squash", "0.875", "bilinear"),
  };

  using ImageDataset::ImageDataset;

 protected:
  ImageListing list() override {
    const fs::path file = params().path("list");
    const fs::path root = params().path("root").empty() ? file.parent_path() : params().path("root");
    std::vector<Row> rows = separator(file) != '\0' ? table(file) : plain(file);
    if (rows.empty()) throw DataError(file.string() + ": lists no image");
    for (Row& row : rows) row.path = inside(root, row.path, row.where);

    std::vector<std::string> names;
    if (const fs::path classes = params().path("class_file"); !classes.empty()) {
      for (const Line& line : read_lines(classes)) names.push_back(line.text);
    }
    const std::vector<std::string> labels = [&] {
      std::vector<std::string> all;
      for (const Row& row : rows) all.push_back(row.label);
      return all;
    }();
    const bool numbers = labels_are_numbers(labels, names, [&](std::size_t i) { return rows[i].where; });
    check_first(root, rows.front());
    return numbers ? by_number(root, rows, names) : by_name(root, rows, names);
  }

 private:
  // A heading or a remark reads like an image and its label.
  static void check_first(const fs::path& root, const Row& row) {
    std::error_code error;
    if (has_image_ending(row.path) || fs::exists(root / row.path, error)) return;
    throw DataError(row.where + ": there is no " + (root / row.path).string() +
                    (row.path.back() == ',' ? "; a table with commas and a header is called .csv"
                                            : "; if the line is a heading or a remark, remove it"));
  }

  // ',' for .csv and .csv.gz, '\t' for .tsv, '\0' for lines of text.
  static char separator(const fs::path& file) {
    const fs::path plain = file.extension() == ".gz" ? file.stem() : file;
    return plain.extension() == ".csv" ? ',' : plain.extension() == ".tsv" ? '\t' : '\0';
  }

  // The label is what follows the last blank: paths may have blanks in them.
  static std::vector<Row> plain(const fs::path& file) {
    std::vector<Row> rows;
    for (const Line& line : read_lines(file)) {
      const std::size_t end = line.text.find_last_of(" \t");
      const std::size_t path_end = end == std::string::npos ? end : line.text.find_last_not_of(" \t", end);
      if (path_end == std::string::npos) {
        const bool commas = line.text.find(',') != std::string::npos;
        throw DataError(at_line(file, line) + ": expected \"PATH LABEL\"" +
                        (commas ? "; a table with commas and a header is called .csv" : ""));
      }
      rows.push_back({line.text.substr(0, path_end + 1), line.text.substr(end + 1), at_line(file, line)});
    }
    return rows;
  }

  std::vector<Row> table(const fs::path& file) const {
    const std::vector<Line> lines = read_lines(file);
    if (lines.empty()) throw DataError(file.string() + ": the file is empty");
    const char separator = separator_in(file, lines[0]);
    const std::vector<std::string> header = fields(file, lines[0], separator);
    const std::size_t path = column(file, header, "path_column"), label = column(file, header, "label_column");
    std::vector<Row> rows;
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const std::vector<std::string> values = fields(file, lines[i], separator);
      if (values.size() != header.size()) {
        throw DataError(at_line(file, lines[i]) + ": has " + std::to_string(values.size()) + " fields, the header " +
                        std::to_string(header.size()));
      }
      rows.push_back({values[path], values[label], at_line(file, lines[i])});
    }
    return rows;
  }

  std::size_t column(const fs::path& file, const std::vector<std::string>& header, const char* param) const {
    const std::string& name = params().text(param);
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end()) {
      throw DataError(file.string() + ":1: has no column \"" + name + "\"; " + param + " names it");
    }
    return static_cast<std::size_t>(found - header.begin());
  }

  // What the ending says, unless the header shows that a spreadsheet took another one.
  static char separator_in(const fs::path& file, const Line& header) {
    const char usual = separator(file);
    for (const char candidate : {usual, ',', ';', '\t'}) {
      if (header.text.find(candidate) != std::string::npos) return candidate;
    }
    return usual;
  }

  // Fields may be in double quotes, doubled inside (RFC 4180; no line breaks in a field). Blanks around them are none
  // of them.
  static std::vector<std::string> fields(const fs::path& file, const Line& line, char separator) {
    std::vector<std::string> out(1);
    const auto finish = [&] {
      std::string& field = out.back();
      field.erase(field.find_last_not_of(" \t") + 1);
      field.erase(0, field.find_first_not_of(" \t"));
    };
    bool quoted = false;
    for (std::size_t i = 0; i < line.text.size(); ++i) {
      const char c = line.text[i];
      if (quoted && c == '"' && i + 1 < line.text.size() && line.text[i + 1] == '"') {
        out.back() += line.text[++i];
      } else if (c == '"') {
        quoted = !quoted;
      } else if (c == separator && !quoted) {
        finish();
        out.emplace_back();
      } else {
        out.back() += c;
      }
    }
    if (quoted) throw DataError(at_line(file, line) + ": a quote is not closed");
    finish();
    return out;
  }

  ImageListing by_number(const fs::path& root, const std::vector<Row>& rows,
                         const std::vector<std::string>& names) const {
    std::vector<std::string> paths;
    std::vector<std::int64_t> labels;
    std::int64_t classes = names.empty() ? params().integer("classes") : static_cast<std::int64_t>(names.size());
    for (const Row& row : rows) {
      const std::int64_t label = class_number(row.label, row.where);
      if (classes > 0 ? label >= classes : label >= 10'000'000) {
        throw DataError(row.where + ": label " + row.label + " is outside [0, " +
                        std::to_string(classes > 0 ? classes : 10'000'000) + ")");
      }
      paths.push_back(row.path);
      labels.push_back(label);
    }
    if (classes == 0) classes = *std::max_element(labels.begin(), labels.end()) + 1;
    return numbered_listing(root, std::move(paths), std::move(labels), classes, names);
  }

  static ImageListing by_name(const fs::path& root, const std::vector<Row>& rows, std::vector<std::string> names) {
    std::vector<NamedImage> images;
    std::set<std::string> found;
    for (const Row& row : rows) {
      images.push_back({row.path, row.label});
      found.insert(row.label);
    }
    if (names.empty()) names.assign(found.begin(), found.end());
    return make_listing(root, images, names);
  }
};

}  // namespace
}  // namespace nmlbench::plugins

NMLBENCH_PLUGINS("nmlbench-image-list", "0.1.0", "Apache-2.0", "",
                 nmlbench::entry<nmlbench::plugins::ImageList>("image-list", 1,
                                                               "images named by a list of paths and labels", ""));
