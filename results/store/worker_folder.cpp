#include "results/store/worker_folder.h"

#include "support/leases.h"
#include "support/output_file.h"

#include <nmlbench/error.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kDatabase = "worker-";
constexpr std::chrono::milliseconds kPoll{100};

json to_json(const SharedBeginning& beginning) {
  return {{"matrix", beginning.matrix}, {"planned", beginning.planned}, {"newest_start", beginning.newest_start},
          {"done", beginning.done},     {"failed", beginning.failed},   {"validations", beginning.validations}};
}

SharedBeginning read_beginning(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  try {
    const json content = json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
    SharedBeginning beginning;
    content.at("matrix").get_to(beginning.matrix);
    content.at("planned").get_to(beginning.planned);
    content.at("newest_start").get_to(beginning.newest_start);
    content.at("done").get_to(beginning.done);
    content.at("failed").get_to(beginning.failed);
    content.at("validations").get_to(beginning.validations);
    return beginning;
  } catch (const json::exception&) {
    throw Error(
        fmt::format("{}: is damaged; run `nmlbench merge` with the database it is beside, and the same command again",
                    file.string()));
  }
}

SharedBeginning ask(const fs::path& db, const std::string& matrix, const std::vector<std::string>& planned) {
  if (fs::exists(db)) return SharedBeginning(matrix, planned, Store::open_read_only(db));
  SharedBeginning beginning;
  beginning.matrix = matrix;
  beginning.planned = planned;
  return beginning;
}

fs::path beginning_file(const fs::path& folder) {
  return folder / "run.json";
}

}  // namespace

SharedBeginning::SharedBeginning(std::string of_matrix, std::vector<std::string> ids, const Store& store)
    : matrix(std::move(of_matrix)),
      planned(std::move(ids)),
      newest_start(store.newest_start(matrix)),
      done(store.cells_with_status("done")),
      failed(store.cells_that_stay_failed()),
      validations(store.known_validations()) {}

fs::path WorkerFolder::database(std::int64_t worker) const {
  return path_ / fmt::format("{}{}.sqlite", kDatabase, worker);
}

std::string WorkerFolder::lease_of(std::int64_t worker) {
  return fmt::format("{}{}", kDatabase, worker);
}

std::vector<fs::path> WorkerFolder::databases() const {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const fs::path& file = entry.path();
    if (file.extension() == ".sqlite" && file.filename().string().rfind(kDatabase, 0) == 0) files.push_back(file);
  }
  if (error) throw SystemError(path_.string(), "list", error.value());  // merging removes the folder: none is no answer
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> WorkerFolder::running() const {
  std::vector<std::string> workers;
  if (!fs::exists(leases())) return workers;
  for (const auto& [name, state] : Leases(leases()).all()) {
    if (name.rfind(kDatabase, 0) == 0 && state.alive) workers.push_back(state.owner ? to_text(*state.owner) : name);
  }
  return workers;
}

SharedBeginning WorkerFolder::agree(const std::string& matrix, const std::vector<std::string>& planned) const {
  const fs::path file = beginning_file(path_);
  Leases leases(this->leases());
  while (!fs::exists(file)) {
    const std::optional<Lease> first = leases.take("beginning");
    if (first && !fs::exists(file)) {
      write_output(file, to_json(ask(db_, matrix, planned)).dump());
      break;
    }
    std::this_thread::sleep_for(kPoll);
  }
  SharedBeginning beginning = read_beginning(file);
  if (beginning.matrix != matrix || beginning.planned != planned) {
    throw Error(
        fmt::format("{}: has work for another plan (of matrix {}) that is not merged yet; run `nmlbench merge {}`, "
                    "then the same command again",
                    path_.string(), beginning.matrix, db_.string()));
  }
  return beginning;
}

MergeResult WorkerFolder::merge() const {
  if (!fs::exists(path_)) throw Error(fmt::format("{}: no such folder; no workers have left anything", path_.string()));
  Leases leases(this->leases());
  const std::optional<Lease> alone = leases.take("merge");
  if (!alone) throw Error(fmt::format("{}: another process is merging it", path_.string()));
  if (const std::vector<std::string> workers = running(); !workers.empty()) {
    throw Error(
        fmt::format("{}: still running: {}; merge when they have finished", path_.string(), fmt::join(workers, ", ")));
  }
  const std::vector<fs::path> inputs = databases();
  for (const fs::path& input : inputs) Store::open_alone(input);  // undoes what a killed worker had half written
  const MergeResult result = merge_databases(db_, inputs);
  if (fs::exists(beginning_file(path_))) {
    const SharedBeginning beginning = read_beginning(beginning_file(path_));
    Store::open(db_).set_newest_plan(beginning.matrix, beginning.planned);
  }
  std::error_code error;
  fs::remove_all(path_, error);
  if (error) throw SystemError(path_.string(), "remove", error.value());
  return result;
}

}  // namespace nmlbench
