#include "cli/cli.h"
#include "cli/launcher.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "engine/checkpoint_job.h"
#include "engine/train_together.h"

#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench::cli {
namespace {

struct PretrainOptions {
  MatrixOptions matrix;
  Launcher launcher = Launcher::torchrun;
};

// Those that cells of the plan need, as far as this program trains them. Throws Error where a plugin would have to do
// so in a process of its own.
std::set<std::size_t> checkpoints_to_train(const PlannedMatrix& planned) {
  const Plan& plan = planned.plan;
  std::set<std::size_t> wanted;
  for (const Cell& cell : plan.cells) {
    if (plan.checkpoints[cell.checkpoint].trained() && plan.obstacle(cell).empty()) wanted.insert(cell.checkpoint);
  }
  for (const std::size_t index : wanted) {
    if (!planned.isolation->covers(plan, CheckpointJob{index, {}, false})) continue;
    throw Error(
        fmt::format("{}: processes that train together run plugins that are not bundled in themselves; allow it by "
                    "--isolate none",
                    plan.checkpoints[index].encoder.where.text()));
  }
  return wanted;
}

// "cuda" and "auto" are a GPU for each process of a machine.
std::string device_of(const std::string& device, std::int64_t local_rank) {
  const bool on_gpu = device == "cuda" || (device == "auto" && torch::cuda::is_available());
  return on_gpu ? fmt::format("cuda:{}", local_rank) : device;
}

int pretrain(const Globals& globals, PretrainOptions options) {
  if (const std::string obstacle = training_groups_obstacle(); !obstacle.empty()) throw Error(obstacle);
  const auto [launch, local_rank] = launched_by(options.launcher);
  options.matrix.device = device_of(options.matrix.device, local_rank);
  const bool speaks = launch.rank == 0;  // one of those that train together
  if (!speaks && !globals.verbose) spdlog::set_level(spdlog::level::err);
  const PlannedMatrix planned = plan_matrix(globals, options.matrix);
  const std::set<std::size_t> wanted = checkpoints_to_train(planned);
  const EngineOptions engine = engine_options(globals, options.matrix, planned);
  ArtifactCache cache(cache_root(globals));
  if (launch.size > 1) spdlog::info("waits for {} processes at {}:{}", launch.size, launch.address, launch.port);
  // after planning, which forks to probe plugins: that goes with no threads of Gloo's
  const std::unique_ptr<TrainingGroup> group = connect(launch, engine.stop);
  std::unique_ptr<ProgressListener> progress = std::make_unique<NoProgress>();
  if (speaks) progress = std::make_unique<RunProgress>(planned.plan.matrix, 0, globals.quiet);
  StageContext context{cache, *progress, engine.device, engine.stop};
  context.group = group.get();
  const TogetherSummary summary = train_together(planned.plan, wanted, context);
  progress.reset();
  spdlog::info("{}: {} checkpoints trained by {} processes, {} failed, {} known before, {} left for `run`",
               planned.plan.matrix, summary.trained, launch.size, summary.failed, summary.known, summary.left);
  return summary.failed > 0 ? kSomeCellsFailed : kDone;
}

}  // namespace

void add_pretrain(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand(
      "pretrain", "Train the checkpoints of a matrix by several processes together, one for each device, before `run`");
  auto options = std::make_shared<PretrainOptions>();
  add_matrix_options(*verb, options->matrix);
  const std::map<std::string, Launcher> names = {{"torchrun", Launcher::torchrun}, {"slurm", Launcher::slurm}};
  verb->add_option("--launcher", options->launcher,
                   "Who starts the processes and says in the environment which is which: torchrun (RANK, WORLD_SIZE, "
                   "LOCAL_RANK) or slurm (srun); both with MASTER_ADDR and MASTER_PORT")
      ->required()
      ->transform(CLI::Transformer(names, CLI::ignore_case).description("torchrun|slurm"));
  verb->callback(
      [&globals, &action, options] { action = [&globals, options] { return pretrain(globals, *options); }; });
}

}  // namespace nmlbench::cli
