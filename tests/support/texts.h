// Texts as tests compare them.
#pragma once

#include "support/datasets.h"

#include <string>
#include <vector>

namespace nmlbench::testing {

// The texts of a split in order, pairs as "first | second".
inline std::vector<std::string> texts_of(const OpenedDataset& split) {
  std::vector<std::string> all;
  for (const Text& text : split.dataset->texts(torch::arange(split.info.size)))
    all.push_back(text.first + (text.second ? " | " + *text.second : ""));
  return all;
}

}  // namespace nmlbench::testing
