// What the processes that share a run tell each other: FOLDER/leases has the stages that somebody is at, FOLDER/done a
// note for each one that is finished, FOLDER/stages.json all there are.
#pragma once

#include "support/leases.h"

#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench {

class StageBoard {
 public:
  // `role`: of this process, for people.
  StageBoard(std::filesystem::path folder, const std::string& role);

  // All stages, for people who look.
  void announce(const nlohmann::json& stages) const;
  nlohmann::json announced() const;  // null before

  // The stage; nothing when it is finished, or a living process is at it.
  std::optional<Lease> take(const std::string& stage);
  // To be called when all that the stage made is safe on the disk.
  void finish(const std::string& stage, const nlohmann::json& about) const;

  std::set<std::string> finished() const;
  // What finish() was given. Throws Error where that is damaged.
  nlohmann::json about(const std::string& stage) const;

  Leases& leases() { return leases_; }

 private:
  void write(const std::filesystem::path& file, const nlohmann::json& content) const;

  std::filesystem::path folder_;
  Leases leases_;
};

}  // namespace nmlbench
