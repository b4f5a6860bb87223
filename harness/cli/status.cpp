// `status`: how far a shared run is, from any machine that sees its database's folder and the cache. Asks files that
// are written whole, and no worker's database: those have no locks (Store::open_alone), so that whoever reads one while
// it is written may see half of a transaction.
#include "cache/stage_board.h"
#include "cli/cli.h"
#include "cli/session.h"
#include "results/store/worker_folder.h"

#include <nmlbench/error.h>
#include <nmlbench/printable.h>

#include <fstream>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

struct StatusOptions {
  fs::path db = "nmlbench.sqlite";
  bool as_json = false;
};

// What each worker has said last, by its role: its epoch, and how far its stage is.
std::map<std::string, std::string> last_words(const fs::path& folder) {
  std::map<std::string, std::string> words;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().rfind("said-", 0) != 0 || entry.path().extension() != ".json") continue;
    std::ifstream in(entry.path());
    const json said = json::parse(in, nullptr, /*allow_exceptions=*/false);
    if (!said.is_object()) continue;
    const std::string epoch = said.value("what", ""), progress = said.value("progress", "");
    words[said.value("role", "")] = epoch + (epoch.empty() || progress.empty() ? "" : "; ") + progress;
  }
  return words;
}

json describe(const LeaseState& state) {
  return {{"owner", state.owner ? to_text(*state.owner) : "somebody"},
          {"role", state.owner ? state.owner->role : ""},
          {"since", state.owner ? state.owner->since : ""},
          {"alive", state.alive},
          {"untouched_seconds", state.untouched_seconds}};
}

// Who is at which artifact of the cache, of this run or another one: [{"id", "owner", ...}].
json at_work_in(const fs::path& cache) {
  json all = json::array();
  if (!fs::exists(cache / "leases")) return all;
  for (const auto& [id, state] : Leases(cache / "leases").all()) {
    if (!state.alive) continue;
    all.push_back(describe(state));
    all.back()["id"] = id;
  }
  return all;
}

// {"stages": [{"name", "state", ...}], "workers": [...], "done", "failed"}.
json look_at(const WorkerFolder& folder) {
  StageBoard board(folder.path(), "");
  std::map<std::string, LeaseState> leases;
  for (auto& [name, state] : board.leases().all()) leases.emplace(name, std::move(state));
  const std::set<std::string> finished = board.finished();
  json status = {{"stages", json::array()}, {"workers", json::array()}, {"done", 0}, {"failed", 0}};
  std::int64_t done = 0, failed = 0;
  for (const json& stage : board.announced()) {
    const auto id = stage.at("id").get<std::string>();
    json line = {{"name", stage.at("name")}, {"state", "waiting"}};
    if (finished.count(id) > 0) {
      const json about = board.about(id);
      done += about.at("done").get<std::int64_t>();
      failed += about.at("failed").get<std::int64_t>();
      line["state"] = about.at("message").get<std::string>().empty() ? "finished" : "failed";
      line["message"] = about.at("message");
    } else if (const auto lease = leases.find(id); lease != leases.end()) {
      line.update(describe(lease->second));
      line["state"] = lease->second.alive ? "running" : "left";
    }
    status["stages"].push_back(std::move(line));
  }
  const std::map<std::string, std::string> words = last_words(folder.path());
  for (const auto& [name, state] : leases) {
    if (name.rfind("worker-", 0) != 0) continue;
    json worker = describe(state);
    const auto said = words.find(worker.at("role").get<std::string>());
    worker["said"] = said != words.end() ? said->second : "";
    status["workers"].push_back(std::move(worker));
  }
  status["done"] = done;
  status["failed"] = failed;
  return status;
}

// A line may hold names from anywhere.
std::string text(const json& object, const char* key) {
  return printable(object.at(key).get<std::string>());
}

std::string line_of(const json& stage) {
  const auto state = stage.at("state").get<std::string>();
  if (state == "running")
    return fmt::format("  running   {}: {}, since {}\n", text(stage, "name"), text(stage, "owner"),
                       text(stage, "since"));
  if (state == "left")
    return fmt::format("  left      {}: {} is dead, the next worker takes it up\n", text(stage, "name"),
                       text(stage, "owner"));
  if (state == "failed") return fmt::format("  failed    {}: {}\n", text(stage, "name"), text(stage, "message"));
  return "";
}

std::string line_of_worker(const json& worker) {
  const std::string said = text(worker, "said");
  return fmt::format("  {} {}, since {}{}{}\n", worker.at("alive").get<bool>() ? "alive" : "dead ",
                     text(worker, "owner"), text(worker, "since"), said.empty() ? "" : ": ", said);
}

std::string text_of_cache(const json& status) {
  std::string lines;
  for (const json& lease : status.at("cache")) {
    lines += fmt::format("  {:.12} {}, since {}\n", text(lease, "id"), text(lease, "owner"), text(lease, "since"));
  }
  return lines.empty() ? "" : fmt::format("at work in the cache {}:\n{}", text(status, "cache_folder"), lines);
}

std::string text_of_run(const json& status) {
  std::map<std::string, std::int64_t> count;
  std::string stages, workers;
  bool any_alive = false;
  for (const json& stage : status.at("stages")) {
    ++count[stage.at("state").get<std::string>()];
    stages += line_of(stage);
  }
  for (const json& worker : status.at("workers")) {
    workers += line_of_worker(worker);
    any_alive = any_alive || worker.at("alive").get<bool>();
  }
  return fmt::format(
      "stages: {} of {} finished, {} running, {} left by dead workers, {} waiting\n{}"
      "cells: {} done, {} failed, in finished stages{}\nworkers:{}\n{}",
      count["finished"] + count["failed"], status.at("stages").size(), count["running"], count["left"],
      count["waiting"], stages, status.at("done").get<std::int64_t>(), status.at("failed").get<std::int64_t>(),
      any_alive ? "; of the others workers say what follows, since a database without locks is not read while it is "
                  "written"
                : "",
      workers.empty() ? " none" : "", workers);
}

int show_status(const Globals& globals, const StatusOptions& options) {
  const WorkerFolder folder(options.db);
  const fs::path cache = cache_root(globals);
  const bool shared = fs::exists(folder.path());
  json status = shared ? look_at(folder) : json::object();
  status["cache"] = at_work_in(cache);
  status["cache_folder"] = cache.string();
  const std::string nobody =
      fmt::format("{}: no such folder; no workers share a run into {}, or what they did is merged",
                  folder.path().string(), options.db.string());
  const std::string idle = fmt::format("nobody is at work in the cache {}", cache.string());
  const bool anybody = shared || !status.at("cache").empty();
  if (!anybody && !fs::exists(options.db)) throw Error(fmt::format("{}; and {}", nobody, idle));
  if (options.as_json) {
    fmt::print("{}\n", status.dump(2));
  } else {
    fmt::print("{}{}{}", shared ? text_of_run(status) : nobody + "\n", text_of_cache(status),
               anybody ? "" : idle + "\n");
  }
  return kDone;
}

}  // namespace

void add_status(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand(
      "status",
      "How far the workers of a run are: stages, owners, progress, failures, and who is at work in the cache");
  auto options = std::make_shared<StatusOptions>();
  verb->add_option("--db", options->db, "The database that the run is for")
      ->envname("NMLBENCH_DB")
      ->capture_default_str();
  verb->add_flag("--json", options->as_json, "For programs");
  verb->callback(
      [&globals, &action, options] { action = [&globals, options] { return show_status(globals, *options); }; });
}

}  // namespace nmlbench::cli
