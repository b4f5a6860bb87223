// What launchers of several processes (torchrun, srun) say in their environment.
#pragma once

#include "engine/training_group.h"

#include <cstdint>
#include <string>

namespace nmlbench::cli {

enum class Launcher { torchrun, slurm };

struct LaunchedProcess {
  Launch launch;
  std::int64_t local_rank = 0;  // among those of this machine
};

// torchrun: RANK, WORLD_SIZE, LOCAL_RANK; slurm: SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID; both MASTER_ADDR and
// MASTER_PORT, and GLOO_SOCKET_IFNAME where it is set. Throws Error that names the variable.
LaunchedProcess launched_by(Launcher launcher);

}  // namespace nmlbench::cli
