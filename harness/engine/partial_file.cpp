#include "engine/partial_file.h"

#include "engine/process.h"

#include <nmlbench/sealed.h>

#include <filesystem>
#include <sstream>
#include <system_error>

#include <torch/serialize.h>

namespace nmlbench {
namespace {

constexpr const char* kPartialFormat = "nmlbench-partial/1";

}  // namespace

std::string bytes_of(torch::serialize::OutputArchive& archive) {
  std::ostringstream bytes;
  archive.save_to(bytes);
  return bytes.str();
}

torch::serialize::InputArchive archive_of(std::string_view bytes, torch::Device device) {
  torch::serialize::InputArchive archive;
  archive.load_from(bytes.data(), bytes.size(), device);
  return archive;
}

bool PartialFile::load(torch::Device device, const std::function<void(torch::serialize::InputArchive&)>& read) const {
  const auto file = cache_.partial_file(id_);
  if (!std::filesystem::exists(file)) return false;
  try {
    const std::string bytes = read_file(file);
    const auto content = unsealed(kPartialFormat, bytes);
    if (!content) throw DamagedFile(file, "is damaged or of another version");
    try {
      torch::serialize::InputArchive archive = archive_of(*content, device);
      read(archive);
    } catch (...) {
      const std::string why = message_of_current_exception();
      if (current_exception_is_out_of_memory()) throw;
      throw DamagedFile(file, "does not fit the encoder: " + why);
    }
  } catch (const DamagedFile& damage) {
    cache_.discard(file, damage);
    return false;
  }
  return true;
}

void PartialFile::save(torch::serialize::OutputArchive& archive) {
  wait();
  save_ = std::async(std::launch::async, [this, bytes = bytes_of(archive)] {
    const Staging staging = cache_.stage();
    const auto file = staging.folder() / "partial.pt";
    write_file(file, sealed(kPartialFormat, bytes));
    replace_file(file, cache_.partial_file(id_));
  });
}

void PartialFile::wait() {
  if (save_.valid()) save_.get();
}

void PartialFile::remove() const {
  std::error_code ignored;
  std::filesystem::remove(cache_.partial_file(id_), ignored);
}

}  // namespace nmlbench
