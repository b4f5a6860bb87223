// A page of samples: one row for each class and domain, to look at what a data set is.
#pragma once

#include <nmlbench/torch.h>

#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::cli {

// Rows of images, uint8 [n, C, H, W] each (C 1 or 3, equal H and W) -> uint8 [3, height, width] with a gap around each
// and a wider one between blocks of `rows_per_block` rows.
torch::Tensor arrange(const std::vector<torch::Tensor>& rows, std::int64_t rows_per_block, std::int64_t scale);

// uint8 [3, H, W] as the bytes of a PNG file.
std::string png_of(const torch::Tensor& image);
// The same in a file. Throws Error when it cannot be written.
void write_png(const std::filesystem::path& file, const torch::Tensor& image);

}  // namespace nmlbench::cli
