// What reads bytes that strangers wrote, one function for each format, for libFuzzer and for the short run of the
// tests.
#pragma once

#include "support/scratch.h"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nmlbench::fuzz {

struct Target {
  const char* name;
  std::vector<std::string> (*seeds)();  // whole files that are read without complaint
  // Reads `bytes` as such a file, to the end. May throw Error or BrokenImage.
  void (*read)(std::string_view bytes, const testing::Scratch& scratch);
};

std::span<const Target> targets();
const Target* find_target(std::string_view name);
void write_seeds(const Target& target, const std::filesystem::path& folder);

// Reads, and ends the process unless the bytes are read or refused as they should be: by an Error whose text is one
// line that can be printed. Whatever else is thrown is a bug: memory or a type that nobody checked.
void feed(const Target& target, std::string_view bytes, const testing::Scratch& scratch);

}  // namespace nmlbench::fuzz
