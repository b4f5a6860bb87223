// Images that lie as one array in some file.
#pragma once

#include "source.h"

#include <nmlbench/torch.h>

#include <string>
#include <vector>

namespace nmlbench::plugins {

class PixelArray : public ImageSource {
 public:
  // uint8 [N, H, W, 3] or [N, H, W] (grey), any strides. `file` is for messages, `digest` of what the pixels are from.
  PixelArray(torch::Tensor pixels, std::string file, std::string digest);

  std::string name(std::int64_t row) const override;
  Image image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const override;
  std::string digest() const override { return digest_; }
  bool worth_caching() const override { return false; }

 private:
  torch::Tensor pixels_;
  std::string file_, digest_;
};

// Labels of such images: int64 from any integer tensor [N], checked to lie in [0, classes); classes = 0 takes the
// largest and one. Throws DataError naming the file.
ImageListing array_listing(const std::shared_ptr<const ImageSource>& source, const torch::Tensor& labels,
                           std::int64_t classes, const std::string& label_file);

}  // namespace nmlbench::plugins
