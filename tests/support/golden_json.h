// References that another implementation made.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

namespace nmlbench::testing {

// Those that the repository keeps in `file` or, where the environment has `variable`, those in the file that it names:
// discarded when that is not there, since Python had no other implementation to make it.
inline nlohmann::json golden_json(const char* variable, const std::filesystem::path& file) {
  const char* other = std::getenv(variable);
  std::ifstream in(other != nullptr ? std::filesystem::path(other) : file);
  return nlohmann::json::parse(in, nullptr, /*allow_exceptions=*/other == nullptr);
}

}  // namespace nmlbench::testing
