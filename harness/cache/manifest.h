// meta.json: what an artifact says of itself, and the size and digest of each of its files.
#pragma once

#include "cache/checked_file.h"

#include <filesystem>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

namespace nmlbench {

struct Manifest {
  std::map<std::string, FileSum> files;  // of the folder, by name
  nlohmann::json about;                  // what publish() was given
};

// The text of meta.json in ROOT/KIND/ab/ID, which carries a digest of itself and of KIND and ID.
std::string to_text(const Manifest& manifest, const std::filesystem::path& folder);

// Throws DamagedFile unless meta.json is, byte for byte, what to_text() gave for this folder.
Manifest read_manifest(const std::filesystem::path& folder);

// read_manifest(), and throws DamagedFile unless every file is what the manifest says.
Manifest read_verified(const std::filesystem::path& folder, FileSums& sums);

std::filesystem::path manifest_file(const std::filesystem::path& folder);

}  // namespace nmlbench
