// Finding the images of a split: class folders and list files. Everything is sorted by bytes, so that a split is the
// same on every machine.
#pragma once

#include "source.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace nmlbench::plugins {

// True for the endings of image files (.jpg, .jpeg, .png, .webp, .bmp, .gif, any case). Only says which files of a
// folder are taken for images; what they are is seen in their content.
bool has_image_ending(const std::string& name);

// Sub-folders, sorted. Throws DataError when `folder` is none.
std::vector<std::string> sub_folders(const std::filesystem::path& folder);

// Images in `folder` and below, as sorted paths relative to it. Links are followed, as torchvision does; a loop of
// links is a DataError.
std::vector<std::string> images_below(const std::filesystem::path& folder);

// Joins a name that some file gave to the folder it belongs to. Throws DataError saying `where` when the name would
// leave the folder ("../", an absolute path outside).
std::string inside(const std::filesystem::path& folder, const std::string& name, const std::string& where);

// An image and its class; before it is known which number a class has.
struct NamedImage {
  std::string path;  // relative to the root
  std::string label;
};

// The listing of images below `root` whose labels are the positions of their class in `classes`. Throws DataError for
// a class that is not there, or when there are no images at all.
ImageListing make_listing(const std::filesystem::path& root, const std::vector<NamedImage>& images,
                          const std::vector<std::string>& classes);

// As above, with labels that are numbers already, all below `classes`.
ImageListing numbered_listing(const std::filesystem::path& root, std::vector<std::string> paths,
                              std::vector<std::int64_t> labels, std::int64_t classes,
                              std::vector<std::string> class_names = {});

// root/CLASS/**: every image below a class folder. `prefix` is put before each path.
std::vector<NamedImage> images_by_class(const std::filesystem::path& root, const std::vector<std::string>& classes,
                                        const std::string& prefix = "");

// Lines of a text file, plain or gzip-compressed, without their ends. Empty ones are left out; each keeps its number
// for messages.
struct Line {
  std::string text;
  std::int64_t number;
};
std::vector<Line> read_lines(const std::filesystem::path& file);

// "FILE:12"
std::string at_line(const std::filesystem::path& file, const Line& line);

// A decimal number, or a DataError at `where`.
std::int64_t parse_number(const std::string& text, const std::string& where);

// The fields of a line between `separator`s; with ' ' runs of blanks count as one.
std::vector<std::string> split_fields(const std::string& text, char separator);

// Keeps the rows of one side of a seeded, stratified cut: `fraction` of each class (rounded) is held out.
std::vector<std::size_t> cut(const std::vector<std::int64_t>& labels, double fraction, std::int64_t seed,
                             bool held_out);

}  // namespace nmlbench::plugins
