#include "support/process_owner.h"

#include "support/environment.h"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace nmlbench {
namespace {

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Process numbers of two containers on one machine have nothing to do with each other.
std::string this_machine() {
  std::error_code error;
  const std::string numbers = std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
  std::string boot = text_of("/proc/sys/kernel/random/boot_id");
  while (!boot.empty() && boot.back() == '\n') boot.pop_back();
  return boot.empty() || error ? "" : boot + " " + numbers;
}

// Field 22 of /proc/PID/stat; 0 where there is none. The second field is the program's name, which may have anything in
// it, in parentheses.
std::int64_t start_of(std::int64_t pid) {
  const std::string stat = text_of(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(stat.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  std::int64_t start = 0;
  fields >> start;
  return start;
}

std::string scheduler_job() {
  if (const std::string array = environment("SLURM_ARRAY_JOB_ID"); !array.empty())
    return fmt::format("Slurm job {}_{}", array, environment("SLURM_ARRAY_TASK_ID"));
  if (const std::string job = environment("SLURM_JOB_ID"); !job.empty()) return "Slurm job " + job;
  if (const std::string job = environment("PBS_JOBID"); !job.empty()) return "PBS job " + job;
  return "";
}

}  // namespace

ProcessOwner this_process(const std::string& role) {
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  ProcessOwner owner;
  owner.host = host;
  owner.pid = ::getpid();
  owner.job = scheduler_job();
  owner.role = role;
  owner.since = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  owner.machine = this_machine();
  owner.start = start_of(owner.pid);
  return owner;
}

std::optional<bool> still_runs(const ProcessOwner& owner) {
  if (owner.machine.empty() || owner.machine != this_machine()) return std::nullopt;
  if (::kill(static_cast<pid_t>(owner.pid), 0) != 0 && errno == ESRCH) return false;
  return start_of(owner.pid) == owner.start;
}

std::string to_text(const ProcessOwner& owner) {
  std::string place = fmt::format("{}, process {}", owner.host, owner.pid);
  if (!owner.job.empty()) place += ", " + owner.job;
  return owner.role.empty() ? place : fmt::format("{} ({})", owner.role, place);
}

void to_json(nlohmann::json& out, const ProcessOwner& owner) {
  out = {{"host", owner.host},   {"pid", owner.pid},         {"job", owner.job},    {"role", owner.role},
         {"since", owner.since}, {"machine", owner.machine}, {"start", owner.start}};
}

void from_json(const nlohmann::json& in, ProcessOwner& owner) {
  in.at("host").get_to(owner.host);
  in.at("pid").get_to(owner.pid);
  in.at("job").get_to(owner.job);
  in.at("role").get_to(owner.role);
  in.at("since").get_to(owner.since);
  in.at("machine").get_to(owner.machine);
  in.at("start").get_to(owner.start);
}

}  // namespace nmlbench
