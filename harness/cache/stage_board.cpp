#include "cache/stage_board.h"

#include "cache/artifacts.h"

#include <nmlbench/error.h>

#include <atomic>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json read_json(const fs::path& file) {
  try {
    return json::parse(read_file(file));
  } catch (const json::exception&) {
    throw Error(fmt::format("{}: is damaged; remove it, and what it is about is done again", file.string()));
  }
}

}  // namespace

StageBoard::StageBoard(fs::path folder, const std::string& role)
    : folder_(std::move(folder)), leases_(folder_ / "leases", role) {
  std::error_code error;
  fs::create_directories(folder_ / "done", error);
  if (error) throw SystemError((folder_ / "done").string(), "create", error.value());
}

void StageBoard::announce(const json& stages) const {
  write(folder_ / "stages.json", stages);
}

json StageBoard::announced() const {
  const fs::path file = folder_ / "stages.json";
  return fs::exists(file) ? read_json(file) : json();
}

std::optional<Lease> StageBoard::take(const std::string& stage) {
  std::optional<Lease> lease = leases_.take(stage);
  if (!lease || !fs::exists(folder_ / "done" / stage)) return lease;
  return std::nullopt;  // finished just before
}

void StageBoard::finish(const std::string& stage, const json& about) const {
  write(folder_ / "done" / stage, about);
}

std::set<std::string> StageBoard::finished() const {
  std::set<std::string> stages;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_ / "done", error)) {
    stages.insert(entry.path().filename().string());
  }
  return stages;
}

json StageBoard::about(const std::string& stage) const {
  return read_json(folder_ / "done" / stage);
}

// Written beside its folder's files: nobody sees half of it.
void StageBoard::write(const fs::path& file, const json& content) const {
  static std::atomic<int> counter{0};
  const ProcessOwner self = this_process();
  const fs::path written = folder_ / fmt::format(".{}.{}.{}", self.host, self.pid, counter++);
  write_file(written, content.dump());
  replace_file(written, file);
}

}  // namespace nmlbench
