// Which of the known data sets a folder holds, and whether they are whole.
#pragma once

#include "registry/registry.h"

#include <filesystem>
#include <string>
#include <vector>

namespace nmlbench::cli {

struct DataFinding {
  std::string dataset;  // plugin
  std::string split;    // "train", "test sketch"
  bool found = false;   // it can be opened
  bool whole = false;   // and is what the official distribution is
  std::int64_t samples = 0, classes = 0;
  std::string message;  // why it is not whole
};

// Opens every split of every data set plugin that can verify itself (it declares `path` and `verify`) on `folder`.
std::vector<DataFinding> check_data(const Registry& registry, const std::filesystem::path& folder);

}  // namespace nmlbench::cli
