#include "cache/manifest.h"

#include <nmlbench/digest.h>

#include <fmt/format.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json files_json(const Manifest& manifest) {
  json files = json::object();
  for (const auto& [name, sum] : manifest.files) files[name] = {{"bytes", sum.bytes}, {"digest", sum.digest}};
  return files;
}

// Throws what nlohmann::json throws when it is none.
Manifest parse(const std::string& text) {
  const json meta = json::parse(text);
  Manifest manifest{{}, meta.at("about")};
  for (const auto& [name, sum] : meta.at("files").items()) {
    manifest.files[name] = {sum.at("bytes").get<std::uintmax_t>(), sum.at("digest").get<std::string>()};
  }
  return manifest;
}

}  // namespace

fs::path manifest_file(const fs::path& folder) {
  return folder / "meta.json";
}

std::string to_text(const Manifest& manifest, const fs::path& folder) {
  json meta = {{"files", files_json(manifest)}, {"about", manifest.about}};
  Digest digest;
  digest.update("artifact/1").update(folder.parent_path().parent_path().filename().string());
  meta["digest"] = digest.update(folder.filename().string()).update(meta.dump()).hex();
  return meta.dump(2) + "\n";
}

Manifest read_manifest(const fs::path& folder) {
  const fs::path file = manifest_file(folder);
  const std::string text = read_file(file);
  try {
    Manifest manifest = parse(text);
    if (to_text(manifest, folder) == text) return manifest;
  } catch (const json::exception&) {  // not even JSON, or an earlier version's
  }
  throw DamagedFile(file, "is damaged or of another version");
}

Manifest read_verified(const fs::path& folder, FileSums& sums) {
  Manifest manifest = read_manifest(folder);
  for (const auto& [name, expected] : manifest.files) {
    const FileSum found = sums.of(folder / name);
    if (found.bytes != expected.bytes) {
      throw DamagedFile(folder / name, fmt::format("has {} bytes instead of {}", found.bytes, expected.bytes));
    }
    if (found != expected) throw DamagedFile(folder / name, "does not fit its checksum");
  }
  return manifest;
}

}  // namespace nmlbench
