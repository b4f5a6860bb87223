// Arrays in HDF5 files. Every failure is a DataError naming file and array.
#pragma once

#include "datasets/images/source.h"

#include <nmlbench/torch.h>

#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::plugins {

// A whole array: float64 or int64, whatever the file's type.
torch::Tensor hdf5_array(const std::filesystem::path& file, const std::string& name, torch::ScalarType type);

// Images in a uint8 array [N, H, W, 3], read row by row: such files may be larger than memory.
class Hdf5Images : public ImageSource {
 public:
  Hdf5Images(const std::filesystem::path& file, const std::string& name);
  ~Hdf5Images() override;

  std::int64_t size() const { return sizes_[0]; }
  std::string name(std::int64_t row) const override;
  Image image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const override;
  std::string digest() const override;

  struct Handles;

 private:
  std::filesystem::path file_;
  std::string array_;
  std::unique_ptr<Handles> handles_;
  std::vector<std::int64_t> sizes_;
};

}  // namespace nmlbench::plugins
