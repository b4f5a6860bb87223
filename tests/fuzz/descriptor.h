// What a stranger's plugin library declares, as text that can be changed blindly.
#pragma once

#include "support/scratch.h"

#include <string>
#include <string_view>
#include <vector>

namespace nmlbench::fuzz {

std::vector<std::string> descriptor_seeds();  // of the bundled libraries
// Builds the descriptor that the text stands for and checks it as that of a library that was loaded.
void descriptor(std::string_view text, const testing::Scratch&);

}  // namespace nmlbench::fuzz
