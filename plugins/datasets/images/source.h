// Where the images of a split come from.
#pragma once

#include "resize.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace nmlbench::plugins {

class ImageSource {  // [any-thread]
 public:
  virtual ~ImageSource() = default;

  // For messages: "daisy/1.jpg", "train.tar: 0001.jpg", "x.npy, row 3".
  virtual std::string name(std::int64_t row) const = 0;
  // At its served size. Throws BrokenImage; DataError when the file itself is not what it was.
  virtual Image image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const = 0;
  // Of everything that image() may serve.
  virtual std::string digest() const = 0;
  // Throws DataError when files of the split are missing, without reading them.
  virtual void check_present() const {}
  // False for sources that are as fast as a cache would be.
  virtual bool worth_caching() const { return true; }
};

// A split before anything is decoded.
struct ImageListing {
  std::shared_ptr<const ImageSource> source;
  std::vector<std::int64_t> labels;  // [N], in [0, classes)
  std::int64_t classes = 0;
  std::vector<std::string> class_names;  // empty, or `classes` of them
  // [classes]: the classes of a training split that stand for each class here; empty when they are the same.
  std::vector<std::vector<std::int64_t>> training_classes;
  std::vector<std::vector<std::int64_t>> right_classes;  // SplitInfo::right_classes
  std::vector<std::int64_t> sets;                        // SplitInfo::sets
  std::vector<std::string> captions;                     // empty, or one for each image, UTF-8
};

// Encoded images in files below a folder.
class ImageFiles : public ImageSource {
 public:
  ImageFiles(std::filesystem::path root, std::vector<std::string> names)
      : root_(std::move(root)), names_(std::move(names)) {}

  std::string name(std::int64_t row) const override;
  Image image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const override;
  std::string digest() const override;
  void check_present() const override;

 private:
  std::filesystem::path root_;
  std::vector<std::string> names_;  // relative to root_
};

// The bytes of an encoded image. Throws BrokenImage: not there, no regular file, unreasonably large.
std::vector<std::uint8_t> read_encoded(const std::filesystem::path& file);

}  // namespace nmlbench::plugins
