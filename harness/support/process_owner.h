// Which process something belongs to, so that processes on other machines can tell, too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace nmlbench {

struct ProcessOwner {
  std::string host;
  std::int64_t pid = 0;
  std::string job;    // what a scheduler calls it, "Slurm job 81_3"; "" without one
  std::string role;   // "worker 3/8", or ""
  std::string since;  // UTC, as the host's clock has it
  std::string
      machine;  // one start of one machine, and what its process numbers are numbers of; "" where that is unknown
  std::int64_t start = 0;  // of the process, in the machine's ticks: a number is given out again
};

ProcessOwner this_process(const std::string& role = "");

// Whether it still runs. Nothing of a process on another machine: nobody can ask from here.
std::optional<bool> still_runs(const ProcessOwner& owner);

// "worker 3/8 (gpu03, process 4711, Slurm job 81_3)".
std::string to_text(const ProcessOwner& owner);

void to_json(nlohmann::json& out, const ProcessOwner& owner);
void from_json(const nlohmann::json& in, ProcessOwner& owner);

}  // namespace nmlbench
