// What several verbs need before they start: plugins, device, threads, a planned matrix.
#pragma once

#include "cli/cli.h"
#include "config/matrix_spec.h"
#include "engine/encodings.h"
#include "engine/isolation.h"
#include "plan/plan.h"
#include "registry/registry.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nmlbench::cli {

// Options of verbs that read a matrix.
struct MatrixOptions {
  std::string matrix = "quick";  // a file, or the name of one in the matrices folder
  std::vector<std::string> set;
  std::string shard;  // "I/N"
  std::string device = "auto";
  bool runs_here = true;  // false: on other machines, which may have other devices
  IsolationOptions isolation;
};

void add_matrix_options(CLI::App& verb, MatrixOptions& options);
void add_device_option(CLI::App& verb, std::string& device);
// How plugins are isolated: --isolate, --cell-timeout, --cell-memory.
void add_isolation_options(CLI::App& verb, IsolationOptions& options);

// Loads every plugin of the search path; libraries that cannot be used are named in a warning.
Registry load_plugins(const Globals& globals);

// A planned matrix and what it was planned with. The plan points into the registry.
struct PlannedMatrix {
  Registry registry;
  Plan plan;
  std::unique_ptr<Isolation> isolation;
  Isolation::Recipe recipe;
};

// From here on Ctrl-C (SIGINT, or SIGTERM) asks the work to stop, ends the program where it has not done so after a
// second and a half, and at once when it comes again; status 130. Throws ConfigError.
PlannedMatrix plan_matrix(const Globals& globals, const MatrixOptions& options);
// The same of a matrix that is read already: `options` says how it runs.
PlannedMatrix plan_matrix(const Globals& globals, const MatrixOptions& options, const MatrixSource& source);

// Throws DataError when no cell at all can run because of its data (Plan::obstacle).
void require_runnable(const Plan& plan);

std::filesystem::path find_matrix(const std::string& name);
std::filesystem::path cache_root(const Globals& globals);
// The I and N of "I/N", 1 <= I <= N. Throws Error, which names the option.
std::pair<std::int64_t, std::int64_t> parse_part(const char* option, const std::string& text);
// The device that the words of --device name, here or elsewhere; nothing for "auto". Throws Error.
std::optional<torch::Device> parse_device(const std::string& text);
// The same device on this machine. Throws Error where this LibTorch does not see it.
torch::Device resolve_device(const std::string& text);
int resolve_threads(const Globals& globals);

// From here on workers can be started, which use this cache, device and number of threads.
void start_isolation(const PlannedMatrix& planned, const std::filesystem::path& cache, const std::string& device,
                     int threads);

// Device, threads, the flag that Ctrl-C sets and worker processes, for the engine, which may use them while `planned`
// lives.
EngineOptions engine_options(const Globals& globals, const MatrixOptions& options, const PlannedMatrix& planned);

}  // namespace nmlbench::cli
