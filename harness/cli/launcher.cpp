#include "cli/launcher.h"

#include "support/environment.h"

#include <charconv>

#include <fmt/format.h>

namespace nmlbench::cli {
namespace {

struct Variables {
  const char *rank, *size, *local_rank, *start;
};

constexpr Variables kTorchrun{
    "RANK", "WORLD_SIZE", "LOCAL_RANK",
    "start the command by torchrun --no-python, or set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR "
    "and MASTER_PORT for each process"};
constexpr Variables kSlurm{
    "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID",
    "start the command by srun, after export MASTER_ADDR=HOST MASTER_PORT=PORT of its first task"};

std::string text_of(const char* variable, const Variables& of) {
  const std::string text = environment(variable);
  if (text.empty()) throw Error(fmt::format("--launcher: {} is not set; {}", variable, of.start));
  return text;
}

// In [least, most].
std::int64_t number_of(const char* variable, const Variables& of, std::int64_t least, std::int64_t most) {
  const std::string text = text_of(variable, of);
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end || number < least || number > most) {
    throw Error(fmt::format("--launcher: {} = {}: expected a number from {} to {}", variable, text, least, most));
  }
  return number;
}

}  // namespace

LaunchedProcess launched_by(Launcher launcher) {
  constexpr std::int64_t kMost = 1 << 20;
  const Variables& variables = launcher == Launcher::torchrun ? kTorchrun : kSlurm;
  LaunchedProcess process;
  Launch& launch = process.launch;
  launch.size = number_of(variables.size, variables, 1, kMost);
  launch.rank = number_of(variables.rank, variables, 0, launch.size - 1);
  process.local_rank = number_of(variables.local_rank, variables, 0, launch.rank);
  launch.address = text_of("MASTER_ADDR", variables);
  launch.port = static_cast<std::uint16_t>(number_of("MASTER_PORT", variables, 1, 65534));
  // torchrun itself listens at its port then, and speaks to processes of its own version of PyTorch
  if (launcher == Launcher::torchrun && environment("TORCHELASTIC_USE_AGENT_STORE") == "True") ++launch.port;
  launch.interface = environment("GLOO_SOCKET_IFNAME");
  return process;
}

}  // namespace nmlbench::cli
