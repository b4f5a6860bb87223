// `status`: how far a shared run is, from any machine that sees its database's folder.
#include "cache/stage_board.h"
#include "cli/cli.h"
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

// What each worker has said last, by its role.
std::map<std::string, std::string> last_words(const fs::path& folder) {
  std::map<std::string, std::string> words;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().rfind("said-", 0) != 0 || entry.path().extension() != ".json") continue;
    std::ifstream in(entry.path());
    const json said = json::parse(in, nullptr, /*allow_exceptions=*/false);
    if (said.is_object()) words[said.value("role", "")] = said.value("what", "");
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

std::string to_text(const json& status) {
  std::map<std::string, std::int64_t> count;
  std::string stages, workers;
  for (const json& stage : status.at("stages")) {
    ++count[stage.at("state").get<std::string>()];
    stages += line_of(stage);
  }
  for (const json& worker : status.at("workers")) workers += line_of_worker(worker);
  return fmt::format(
      "stages: {} of {} finished, {} running, {} left by dead workers, {} waiting\n{}"
      "cells: {} done, {} failed\nworkers:{}\n{}",
      count["finished"] + count["failed"], status.at("stages").size(), count["running"], count["left"],
      count["waiting"], stages, status.at("done").get<std::int64_t>(), status.at("failed").get<std::int64_t>(),
      workers.empty() ? " none" : "", workers);
}

int show_status(const StatusOptions& options) {
  const WorkerFolder folder(options.db);
  if (!fs::exists(folder.path())) {
    throw Error(fmt::format("{}: no such folder; no workers share a run into {}, or what they did is merged",
                            folder.path().string(), options.db.string()));
  }
  const json status = look_at(folder);
  fmt::print("{}", options.as_json ? status.dump(2) + "\n" : to_text(status));
  return kDone;
}

}  // namespace

void add_status(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("status", "How far the workers of a run are: stages, their owners, failures");
  auto options = std::make_shared<StatusOptions>();
  verb->add_option("--db", options->db, "The database that the run is for")
      ->envname("NMLBENCH_DB")
      ->capture_default_str();
  verb->add_flag("--json", options->as_json, "For programs");
  verb->callback([&action, options] { action = [options] { return show_status(*options); }; });
}

}  // namespace nmlbench::cli
