// Opening one plugin library safely: everything that can be checked is checked before any of its C++ runs.
#pragma once

#include "registry/registry.h"

#include <filesystem>

namespace nmlbench {

// The accepted library; it stays loaded until the process ends. Throws Error with one clear line: not a shared
// library, not a plugin, another ABI version, another LibTorch, a malformed declaration. The same file gives the same
// object again. [any-thread]
const LoadedLibrary& open_library(const std::filesystem::path& file);

// What open_library requires of the descriptor. Throws Error. [any-thread]
void check_descriptor(const PluginLibrary& library);

}  // namespace nmlbench
