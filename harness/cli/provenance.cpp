#include "cli/provenance.h"

#include <fstream>

#include <nlohmann/json.hpp>
#include <torch/version.h>
#include <unistd.h>

namespace nmlbench::cli {
namespace {

// The value of the first "KEY : value" line that starts with `key`.
std::string line_value(const std::filesystem::path& file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t begin = line.find_first_not_of(" \t", line.find(':') + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

}  // namespace

std::string libtorch_version() {
  return TORCH_VERSION;
}

std::string cuda_version() {
  return torch::cuda::is_available() ? NMLBENCH_CUDA_VERSION : "";
}

std::string cpu_name() {
  return line_value("/proc/cpuinfo", "model name");
}

std::string gpu_name() {
  std::error_code ignored;
  for (const auto& gpu : std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", ignored)) {
    return line_value(gpu.path() / "information", "Model");
  }
  return "";
}

namespace {

// Paths as they are from any folder; those of --set are relative to the folder that the command was given in.
std::string source_json(const Globals& globals, const MatrixSource& source) {
  std::vector<std::string> plugin_dirs;
  for (const auto& folder : globals.plugin_dirs) plugin_dirs.push_back(std::filesystem::absolute(folder).string());
  return nlohmann::json{{"file", std::filesystem::absolute(source.file).string()},
                        {"text", source.text},
                        {"set", source.set},
                        {"folder", std::filesystem::current_path().string()},
                        {"plugin_dirs", plugin_dirs}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

RunRecord make_run_record(const Globals& globals, const PlannedMatrix& planned, int threads) {
  const Plan& plan = planned.plan;
  nlohmann::json plugins = nlohmann::json::object();
  for (const Registry::Item& item : planned.registry.items()) {
    plugins[item.library->descriptor->name] = item.library->descriptor->version;
  }
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  RunRecord run;
  run.matrix = plan.matrix;
  run.matrix_json = plan.canonical;
  run.matrix_source = source_json(globals, planned.recipe.source);
  run.command_line = globals.command_line;
  run.git_revision = git_revision();
  run.versions_json = nlohmann::json{
      {"nmlbench", NMLBENCH_VERSION},
      {"libtorch", libtorch_version()},
      {"cuda", cuda_version()},
      {"plugins",
       plugins}}.dump();
  run.host = host;
  run.cpu = cpu_name();
  run.gpu = gpu_name();
  run.threads = threads;
  return run;
}

}  // namespace nmlbench::cli
