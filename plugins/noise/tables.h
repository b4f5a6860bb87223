// Labels and matrices in the files that people keep them in: .npy, or text with one row a line (.csv, .tsv, .txt;
// comma, semicolon, tab or spaces), plain or .gz. Every failure is a DataError naming the file and the line or row.
#pragma once

#include <nmlbench/torch.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace nmlbench::plugins {

// One column of integers, int64 [R]. `column` is a name from the header, or a number from 0; "" takes the only one.
// A first line that is no row of numbers is a header.
torch::Tensor read_column(const std::filesystem::path& file, const std::string& column);

// All columns, float64 [R, C]; no header.
torch::Tensor read_numbers(const std::filesystem::path& file);

// A row-stochastic matrix [K, K]. Rows may miss 1 by 1e-4 (rounded files) and are normalised.
torch::Tensor read_transition(const std::filesystem::path& file, std::int64_t classes);

// The rows of an array of features [R, D] (.npy of floats) at `rows` (int64 [N]), for a set of `full_size` samples;
// float64 [N, D], finite.
torch::Tensor read_features(const std::filesystem::path& file, const torch::Tensor& rows, std::int64_t full_size);

// Throws DataError unless `found` (what `file` holds) is one for each sample of the set.
void check_length(const std::filesystem::path& file, const char* what, std::int64_t found, std::int64_t full_size);

}  // namespace nmlbench::plugins
