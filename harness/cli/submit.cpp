// `submit --slurm`: a job array whose tasks share a run, and a job behind it that merges what they found.
#include "cli/cli.h"
#include "cli/given_options.h"
#include "cli/run_options.h"
#include "cli/session.h"
#include "config/matrix_spec.h"
#include "support/output_file.h"

#include <nmlbench/error.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>

namespace nmlbench::cli {
namespace {

namespace fs = std::filesystem;

struct SubmitOptions {
  RunOptions run;
  bool slurm = false;
  bool dry_run = false;
  std::int64_t array = 1;
  std::string partition, gres, time;
  std::int64_t cpus = 0;
  std::int64_t notice = 300;  // seconds before the time limit
  std::vector<std::string> others;
};

// One word for a shell.
std::string shell_word(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

// What Slurm calls the job. A matrix may be anybody's, and its name anything; a line break would be the next command.
std::string job_name(const std::string& matrix) {
  std::string name = "nmlbench-";
  for (const char c : matrix) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
  return name;
}

// `others`: of the array alone.
std::string header(const SubmitOptions& options, const std::string& name, const fs::path& log,
                   const std::vector<std::string>& others) {
  std::string text = fmt::format("#!/bin/bash\n#SBATCH --job-name={}\n#SBATCH --output={}\n", name, log.string());
  if (!options.partition.empty()) text += fmt::format("#SBATCH --partition={}\n", options.partition);
  for (const std::string& other : others) text += fmt::format("#SBATCH {}\n", other);
  return text + fmt::format("cd -- {} || exit 2\n", shell_word(fs::current_path().string()));
}

// A worker that is told of the time limit stops after its epoch or stage with status 130; the task then queues again,
// and goes on where work is left. What Slurm kills, it queues again by itself (--requeue) or not: the others go on.
constexpr const char* kTask = R"(export NMLBENCH_THREADS="${{NMLBENCH_THREADS:-${{SLURM_CPUS_PER_TASK:-0}}}}"
out_of_time=
trap 'woken=1; out_of_time=1; kill -INT "$worker"' USR1
trap 'woken=1; kill -INT "$worker"' TERM
{} --worker="$SLURM_ARRAY_TASK_ID/{}" &
worker=$!
woken=1
while [ -n "$woken" ]; do  # a signal ends `wait`, not the worker
  woken=
  wait "$worker"
  status=$?
done
if [ -n "$out_of_time" ] && [ "$status" -eq 130 ]; then
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}" && sleep 60  # until Slurm ends this script
fi
exit "$status"
)";

std::string task_script(const SubmitOptions& options, const std::string& name, const fs::path& folder,
                        const std::string& command) {
  std::vector<std::string> others = {fmt::format("--array=1-{}", options.array), "--requeue", "--open-mode=append",
                                     fmt::format("--signal=B:USR1@{}", options.notice)};
  if (!options.gres.empty()) others.push_back("--gres=" + options.gres);
  if (!options.time.empty()) others.push_back("--time=" + options.time);
  if (options.cpus > 0) others.push_back(fmt::format("--cpus-per-task={}", options.cpus));
  others.insert(others.end(), options.others.begin(), options.others.end());
  return header(options, name, folder / "%A_%a.log", others) + fmt::format(kTask, command, options.array);
}

// The number that sbatch prints; throws Error with what it said.
std::string submit(const std::vector<std::string>& arguments) {
  std::string command = "sbatch --parsable";
  for (const std::string& argument : arguments) command += " " + shell_word(argument);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen((command + " 2>&1").c_str(), "r"), ::pclose);
  if (!pipe) throw SystemError("sbatch", "start", errno);
  std::string said;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    said.append(buffer.data(), got);
  while (!said.empty() && said.back() == '\n') said.pop_back();
  const std::string number = said.substr(0, said.find(';'));  // of the job, then of the cluster
  if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos)
    throw Error(fmt::format("sbatch submits nothing: {}", said));
  return number;
}

int submit_matrix(const Globals& globals, const SubmitOptions& options, const std::vector<std::string>& arguments) {
  if (!options.slurm)
    throw Error(
        "submit knows Slurm alone: --slurm; under another scheduler start `nmlbench run MATRIX --worker I/N` N "
        "times (docs/SCALE.md)");
  if (!options.run.matrix.shard.empty()) throw Error("submit and --shard do not go together: workers share all cells");
  if (options.run.fail_fast)
    throw Error("submit and --fail-fast do not go together: one that stops leaves its work to the others");
  MatrixOptions matrix = options.run.matrix;
  matrix.runs_here = false;
  const Plan plan = plan_matrix(globals, matrix).plan;
  require_runnable(plan);

  const fs::path program = fs::read_symlink("/proc/self/exe").replace_filename("nmlbench");
  const fs::path db = fs::absolute(options.run.db), folder = db.string() + ".slurm";
  std::vector<std::string> words = {program.string(), "run"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  words.push_back("--cache-dir=" + fs::absolute(cache_root(globals)).string());
  for (std::string& word : words) word = shell_word(word);
  const std::string name = job_name(plan.matrix);
  fs::create_directories(folder);
  write_output(folder / "tasks.sh", task_script(options, name, folder, fmt::format("{}", fmt::join(words, " "))));
  write_output(
      folder / "merge.sh",
      header(options, name + "-merge", folder / "merge_%j.log", {}) +
          fmt::format("{0} merge {1}\nstatus=$?\n[ \"$status\" -le 1 ] && {0} leaderboard --db {1}\nexit \"$status\"\n",
                      shell_word(program.string()), shell_word(db.string())));
  if (options.dry_run) {
    fmt::print("{}\n{}\n", (folder / "tasks.sh").string(), (folder / "merge.sh").string());
    return kDone;
  }
  const std::string tasks = submit({(folder / "tasks.sh").string()});
  const std::string merge = submit({"--dependency=afterany:" + tasks, (folder / "merge.sh").string()});
  fmt::print("{}: job {} has {} tasks, job {} merges them; logs are in {}\nnmlbench status --db {}\n", plan.matrix,
             tasks, options.array, merge, folder.string(), options.run.db.string());
  return kDone;
}

}  // namespace

void add_submit(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand("submit", "Run a matrix as a Slurm job array whose tasks share its stages");
  auto options = std::make_shared<SubmitOptions>();
  add_run_options(*verb, options->run);
  verb->add_flag("--slurm", options->slurm, "With sbatch");
  verb->add_flag("--dry-run", options->dry_run, "Write the job scripts and submit nothing");
  verb->add_option("--array", options->array, "Tasks")->check(CLI::Range(1, 4096))->capture_default_str();
  verb->add_option("--partition", options->partition, "Slurm's");
  verb->add_option("--gres", options->gres, "What each task gets, e.g. gpu:1");
  verb->add_option("--time", options->time, "Time limit of a task, as Slurm writes it; it queues again then");
  verb->add_option("--cpus", options->cpus, "CPUs of a task")->check(CLI::Range(1, 4096));
  verb->add_option("--notice", options->notice, "Seconds before the limit when a task is told, time for an epoch")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  verb->add_option("--sbatch", options->others, "One more option of sbatch, e.g. --sbatch=--account=x (repeatable)")
      ->allow_extra_args(false);
  verb->callback([&globals, &action, options, verb] {
    const auto arguments = given_options(
        *verb, {"slurm", "dry-run", "array", "partition", "gres", "time", "cpus", "notice", "sbatch", "cache-dir"});
    action = [&globals, options, arguments] { return submit_matrix(globals, *options, arguments); };
  });
}

}  // namespace nmlbench::cli
