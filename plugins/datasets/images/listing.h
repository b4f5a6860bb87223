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

// True for endings, without their dot, of images in formats that no reader knows.
bool is_other_image(std::string ending);

// What operating systems and tools put beside images (hidden files, __MACOSX, Thumbs.db): neither images nor classes.
bool is_system_name(const std::string& name);

// Joins a name that some file gave to the folder it belongs to. Throws DataError saying `where` when the name would
// leave the folder ("../", an absolute path outside). Backslashes separate folders unless the disk has such a name.
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

// root/CLASS/**: every image below a class folder, sorted; `prefix` is put before each path. Links are followed, as
// torchvision does. Throws DataError for a loop of links, and for a class of other files only; warns of other files
// that are left out, and of an empty class.
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

// Whether labels, as a file has them, are class numbers; otherwise they are class names. Throws DataError at where(i)
// when some are the one and some the other (unless `names`, of a class file, has all of them), or for an empty one:
// sorting numbers as text would give them other numbers.
bool labels_are_numbers(const std::vector<std::string>& labels, const std::vector<std::string>& names,
                        const std::function<std::string(std::size_t)>& where);

// The number of such a label: "2", also as "2.0". Throws DataError at `where` for -1, 2.5 and the like.
std::int64_t class_number(const std::string& label, const std::string& where);

// The fields of a line between `separator`s; with ' ' runs of blanks and tabs count as one.
std::vector<std::string> split_fields(const std::string& text, char separator);

// Keeps the rows of one side of a seeded, stratified cut: `fraction` of each class (rounded) is held out.
std::vector<std::size_t> cut(const std::vector<std::int64_t>& labels, double fraction, std::int64_t seed,
                             bool held_out);

}  // namespace nmlbench::plugins
