// --set KEY=VALUE: changes a parsed matrix before it is checked.
#pragma once

#include <string>
#include <vector>

#include <toml++/toml.h>

namespace nmlbench {

// Throws ConfigError naming the override when it is malformed or its path does not exist.
void apply_overrides(toml::table& document, const std::vector<std::string>& overrides);

}  // namespace nmlbench
