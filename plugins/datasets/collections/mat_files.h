// Variables of MATLAB files (matio: versions 4, 5 and 7.3). Every failure is a DataError naming file and variable.
#pragma once

#include <nmlbench/torch.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::plugins {

// A numeric array of any shape and type, in MATLAB's (column-major) order.
std::vector<std::int64_t> mat_integers(const std::filesystem::path& file, const std::string& variable);

// A uint8 array in its own shape, [D1, D2, ...] with MATLAB's strides.
torch::Tensor mat_bytes(const std::filesystem::path& file, const std::string& variable);

// A cell array of texts.
std::vector<std::string> mat_texts(const std::filesystem::path& file, const std::string& variable);

struct MatRecord {
  std::string text;
  std::int64_t number;
};
// One text and one number field of a struct array.
std::vector<MatRecord> mat_records(const std::filesystem::path& file, const std::string& variable,
                                   const std::string& text_field, const std::string& number_field);

}  // namespace nmlbench::plugins
