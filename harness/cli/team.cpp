#include "cli/team.h"

#include "cache/stage_board.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "results/store/store.h"
#include "results/store/worker_folder.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPoll{100};

std::string last_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line, last;
  while (std::getline(in, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

// One process, in a group of its own: Ctrl-C at a terminal goes to whole groups, and the parent tells its workers
// itself. It does not outlive its parent.
pid_t start(std::vector<std::string> arguments, const fs::path& output) {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  arguments.insert(arguments.begin(), program.string());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid(), child = ::fork();
  if (child < 0) throw SystemError(program.string(), "start", errno, "use fewer --workers");
  if (child > 0) return child;
  // only what may be called between fork() and exec() where other threads run
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kInterrupted);
  const int log = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (log >= 0) {
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
  }
  ::execv(argv[0], argv.data());
  ::_exit(kBadInput);
}

class Team {
 public:
  Team(const Globals& globals, const MatrixOptions& how, const PlannedMatrix& planned, const TeamOptions& options)
      : how_(how),
        planned_(planned),
        options_(options),
        folder_(options.db),
        board_(folder_.path(), ""),
        threads_(std::max<std::int64_t>(1, resolve_threads(globals) / options.workers)),
        quiet_(globals.quiet) {}

  // False when it was interrupted.
  bool run() {
    leave_ = leave_on_signals();
    const std::atomic<bool>* const stop = stop_on_signals();
    for (std::int64_t i = 1; i <= options_.workers; ++i) workers_[start(arguments_of(i), log_of(i))] = i;
    RunProgress progress(fmt::format("{}, {} workers", planned_.plan.matrix, options_.workers), 0, quiet_);
    bool told_to_leave = false, told_to_stop = false;
    while (!workers_.empty()) {
      show(progress);
      if (leave_->load() && !std::exchange(told_to_leave, true)) {
        spdlog::info("stopping after the epochs or stages that workers are at; Ctrl-C again stops them at once");
        tell(SIGINT);
      }
      if (stop->load() && !std::exchange(told_to_stop, true)) tell(SIGINT);
      bury();
      std::this_thread::sleep_for(kPoll);
    }
    show(progress);
    if (stages_ > 0) progress.end();
    return !leave_->load();
  }

 private:
  fs::path log_of(std::int64_t worker) const { return folder_.path() / fmt::format("worker-{}.log", worker); }

  std::vector<std::string> arguments_of(std::int64_t worker) const {
    std::string device = how_.device;
    const auto gpus = device == "auto" ? static_cast<std::int64_t>(torch::cuda::device_count()) : 0;
    if (gpus > 0) device = fmt::format("cuda:{}", (worker - 1) % gpus);
    std::vector<std::string> arguments = {"run"};
    arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
    arguments.push_back("--device=" + device);
    arguments.push_back(fmt::format("--threads={}", threads_));
    arguments.push_back(fmt::format("--worker={}/{}", worker, options_.workers));
    return arguments;
  }

  void tell(int signal) const {
    for (const auto& [process, worker] : workers_) ::kill(process, signal);
  }

  void bury() {
    for (auto it = workers_.begin(); it != workers_.end();) {
      int status = 0;
      if (::waitpid(it->first, &status, WNOHANG) <= 0) {
        ++it;
        continue;
      }
      const std::int64_t worker = it->second;
      it = workers_.erase(it);
      if (leave_->load()) continue;
      if (WIFSIGNALED(status)) {
        spdlog::warn("worker {} was ended by signal {} ({}); the others take up its work", worker, WTERMSIG(status),
                     ::strsignal(WTERMSIG(status)));
      } else if (WEXITSTATUS(status) == kBadInput) {
        spdlog::error("worker {}: {}", worker, last_line(log_of(worker)));
      }
    }
  }

  void show(RunProgress& progress) {
    if (stages_ == 0) {
      stages_ = board_.announced().size();
      if (stages_ > 0) progress.begin("share", static_cast<double>(stages_), "stages");
    }
    const std::size_t finished = board_.finished().size();
    if (stages_ > 0 && finished > shown_)
      progress.advance(static_cast<double>(finished - std::exchange(shown_, finished)));
  }

  const MatrixOptions& how_;
  const PlannedMatrix& planned_;
  const TeamOptions& options_;
  WorkerFolder folder_;
  StageBoard board_;
  std::int64_t threads_;
  bool quiet_;
  const std::atomic<bool>* leave_ = nullptr;
  std::map<pid_t, std::int64_t> workers_;
  std::size_t stages_ = 0, shown_ = 0;
};

// What workers have finished, into the database.
std::int64_t merge_workers(const WorkerFolder& folder, const fs::path& db) {
  const MergeResult result = folder.merge();
  report_conflicts(result);
  if (result.added + result.replaced > 0)
    spdlog::info("{}: {} cells of workers merged", db.string(), result.added + result.replaced);
  return static_cast<std::int64_t>(result.conflicts.size());
}

TeamResult count(const Plan& plan, const SharedBeginning& before, const TeamOptions& options) {
  const Store store = Store::open_read_only(options.db);
  const auto done = store.cells_with_status("done");
  const auto failures = store.failures();
  TeamResult result;
  for (const Cell& cell : plan.cells) {
    const auto failure = failures.find(cell.id);
    if (before.done.count(cell.id) > 0) {
      ++result.summary.skipped;
    } else if (done.count(cell.id) > 0) {
      ++result.summary.done;
    } else if (failure == failures.end()) {
      ++result.missing;
    } else if (!options.retry_failed && before.failed.count(cell.id) > 0) {
      ++result.summary.skipped;
      ++result.failed_before;
    } else {
      ++result.summary.failed;
      ++result.summary.failures[failure->second];
    }
  }
  return result;
}

}  // namespace

TeamResult run_team(const Globals& globals, const MatrixOptions& how, const PlannedMatrix& planned,
                    const TeamOptions& options) {
  const WorkerFolder folder(options.db);
  if (fs::exists(folder.path())) merge_workers(folder, options.db);  // of a run that was killed
  std::vector<std::string> cells;
  for (const Cell& cell : planned.plan.cells) cells.push_back(cell.id);
  const SharedBeginning before = folder.agree(planned.plan.matrix, cells);
  const bool ended = Team(globals, how, planned, options).run();
  const std::int64_t conflicts = merge_workers(folder, options.db);
  if (!ended) throw Interrupted();
  TeamResult result = count(planned.plan, before, options);
  result.conflicts = conflicts;
  return result;
}

}  // namespace nmlbench::cli
