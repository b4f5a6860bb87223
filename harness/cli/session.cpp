#include "cli/session.h"

#include "cli/signals.h"
#include "engine/told_inspector.h"
#include "kernels/cpu_level.h"
#include "support/environment.h"
#include "support/words.h"

#include <nmlbench/surroundings.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench::cli {
namespace {

namespace fs = std::filesystem;

// Next to the program in a build tree, under share/ when installed.
std::vector<fs::path> matrix_folders() {
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path();
  return {program / "share/nmlbench/matrices", program / "../share/nmlbench/matrices"};
}

}  // namespace

void add_device_option(CLI::App& verb, std::string& device) {
  verb.add_option("--device", device, "auto, cpu, cuda or cuda:N")->envname("NMLBENCH_DEVICE")->capture_default_str();
}

void add_isolation_options(CLI::App& verb, IsolationOptions& options) {
  using Which = IsolationOptions::Which;
  const std::map<std::string, Which> names = {{"auto", Which::outside}, {"all", Which::all}, {"none", Which::none}};
  verb.add_option("--isolate", options.which,
                  "Plugins that run in processes of their own: auto (those that are not bundled), all or none")
      ->envname("NMLBENCH_ISOLATE")
      ->transform(CLI::Transformer(names, CLI::ignore_case).description("auto|all|none"))
      ->default_str("auto");
  verb.add_option("--cell-timeout", options.limits.seconds,
                  "Seconds that one stage of such a plugin may take; 0: any time")
      ->envname("NMLBENCH_CELL_TIMEOUT")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--cell-memory", options.limits.memory_gb,
                  "Memory that the process of such a plugin may take, in GB; 0: any")
      ->envname("NMLBENCH_CELL_MEMORY")
      ->check(CLI::NonNegativeNumber);
}

namespace {

// A CPU computes tf32 as fp32, and the numbers would stand under the wrong name.
void require_precision(const Plan& plan, torch::Device device) {
  if (device.is_cuda()) return;
  const auto refuse = [&](const char* key, Precision precision) {
    if (precision == Precision::tf32)
      throw Error(fmt::format("{}: {}.precision = \"tf32\" needs a GPU, and the device is {}; take fp32 or bf16",
                              plan.matrix, key, device.str()));
  };
  refuse("encode", plan.encode.precision);
  for (const Checkpoint& checkpoint : plan.checkpoints) refuse("optim", checkpoint.optim.precision);
}

}  // namespace

void add_matrix_options(CLI::App& verb, MatrixOptions& options) {
  verb.add_option("matrix", options.matrix, "A matrix file, or the name of a bundled one")->capture_default_str();
  verb.add_option("--set", options.set, "KEY=VALUE: change one value of the matrix, e.g. tuner.lr=0.01 (repeatable)")
      ->allow_extra_args(false);
  verb.add_option("--shard", options.shard, "I/N: only this part of the cells; join the databases with `merge`");
  add_device_option(verb, options.device);
  add_isolation_options(verb, options.isolation);
}

namespace {

fs::path chosen_cache(const Globals& globals) {
  return globals.cache_dir.empty() ? cache_folder() : globals.cache_dir;
}

}  // namespace

Registry load_plugins(const Globals& globals) {
  cpu_level();  // says what is wrong with NMLBENCH_CPU_LEVEL before a plugin stumbles over it
  const fs::path cache = chosen_cache(globals);
  set_surroundings({cache, static_cast<std::uint64_t>(globals.image_cache_gb * 1e9), resolve_threads(globals)});
  const std::vector<fs::path> folders = plugin_search_path(globals.plugin_dirs);
  if (!globals.allow_shared_plugins) std::for_each(folders.begin(), folders.end(), require_private);
  Registry registry = Registry::load(folders, cache.empty() ? fs::path() : cache / "plugins");
  for (const RejectedLibrary& library : registry.rejected()) {
    spdlog::warn("plugin library left out: {}: {}", library.file.string(), library.reason);
  }
  return registry;
}

fs::path find_matrix(const std::string& name) {
  if (fs::exists(name)) return name;
  for (const fs::path& folder : matrix_folders()) {
    const fs::path file = folder / (name + ".toml");
    if (fs::exists(file)) return file;
  }
  std::vector<std::string> bundled;
  for (const fs::path& folder : matrix_folders()) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) bundled.push_back(entry.path().stem().string());
  }
  std::sort(bundled.begin(), bundled.end());
  throw Error(fmt::format("{}: no such matrix file or bundled matrix{}", name, suggestion(name, bundled)));
}

fs::path cache_root(const Globals& globals) {
  const fs::path root = chosen_cache(globals);
  if (root.empty()) throw Error("neither HOME nor XDG_CACHE_HOME is set; give --cache-dir DIR");
  return root;
}

std::pair<std::int64_t, std::int64_t> parse_part(const char* option, const std::string& text) {
  std::int64_t index = 0, count = 0;
  const char* end = text.data() + text.size();
  const auto [slash, error] = std::from_chars(text.data(), end, index);
  const bool separated = error == std::errc() && slash != end && *slash == '/';
  if (!separated || std::from_chars(slash + 1, end, count).ptr != end || index < 1 || count < index) {
    throw Error(fmt::format("{} {}: expected I/N with 1 <= I <= N, for example 1/4", option, text));
  }
  return {index, count};
}

std::optional<torch::Device> parse_device(const std::string& text) {
  if (text == "auto") return std::nullopt;
  if (text == "cpu") return torch::Device(torch::kCPU);
  c10::DeviceIndex index = 0;
  if (text != "cuda") {
    const std::string_view number = text.starts_with("cuda:") ? std::string_view(text).substr(5) : "";
    const char* end = number.data() + number.size();
    const auto [past, error] = std::from_chars(number.data(), end, index);
    if (error != std::errc() || past != end || index < 0)
      throw Error(fmt::format("--device {}: expected auto, cpu, cuda or cuda:N", text));
  }
  return torch::Device(torch::kCUDA, index);
}

torch::Device resolve_device(const std::string& text) {
  const std::optional<torch::Device> named = parse_device(text);
  if (!named) return torch::cuda::is_available() ? torch::Device(torch::kCUDA, 0) : torch::Device(torch::kCPU);
  const auto devices = static_cast<int>(torch::cuda::device_count());
  if (named->is_cuda() && named->index() >= devices) {
    throw Error(fmt::format("--device {}: this LibTorch sees {} CUDA devices; try --device cpu", text, devices));
  }
  return *named;
}

int resolve_threads(const Globals& globals) {
  return globals.threads > 0 ? globals.threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

PlannedMatrix plan_matrix(const Globals& globals, const MatrixOptions& options) {
  return plan_matrix(globals, options, read_source(find_matrix(options.matrix), options.set));
}

PlannedMatrix plan_matrix(const Globals& globals, const MatrixOptions& options, const MatrixSource& source) {
  const std::atomic<bool>* const stop = stop_on_signals();
  const MatrixSpec spec = read_matrix(source);
  PlannedMatrix planned{load_plugins(globals), {}, nullptr, {}};
  IsolationOptions isolation = options.isolation;
  isolation.stop = stop;
  planned.isolation = std::make_unique<Isolation>(planned.registry.files(), isolation);
  planned.recipe.source = source;
  planned.plan = make_plan(spec, planned.registry, NotingInspector(*planned.isolation, planned.recipe.answers));
  if (options.runs_here) require_precision(planned.plan, resolve_device(options.device));
  if (!options.shard.empty()) {
    const auto [index, count] = parse_part("--shard", options.shard);
    keep_shard(planned.plan, index, count);
    planned.recipe.shard = index;
    planned.recipe.shards = count;
  }
  return planned;
}

void require_runnable(const Plan& plan) {
  if (plan.cells.empty()) return;
  std::string obstacle;
  for (const Cell& cell : plan.cells) {
    obstacle = plan.obstacle(cell);
    if (obstacle.empty()) return;
  }
  throw DataError(obstacle);
}

void start_isolation(const PlannedMatrix& planned, const std::filesystem::path& cache, const std::string& device,
                     int threads) {
  Isolation::Recipe recipe = planned.recipe;
  recipe.cache = cache;
  recipe.device = device;
  recipe.threads = threads;
  planned.isolation->plan_with(recipe, planned.plan);
}

EngineOptions engine_options(const Globals& globals, const MatrixOptions& options, const PlannedMatrix& planned) {
  EngineOptions engine;
  engine.device = resolve_device(options.device);
  engine.threads = resolve_threads(globals);
  engine.stop = stop_on_signals();
  start_isolation(planned, cache_root(globals), engine.device.str(), engine.threads);
  engine.isolation = planned.isolation.get();
  return engine;
}

}  // namespace nmlbench::cli
