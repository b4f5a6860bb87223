#include "cache/artifacts.h"
#include "cache/cache_check.h"
#include "cli/cli.h"
#include "cli/data_check.h"
#include "cli/live_view.h"
#include "cli/provenance.h"
#include "cli/session.h"

#include <nmlbench/plugin.h>
#include <nmlbench/printable.h>

#include <chrono>
#include <map>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {
namespace {

// float32 products of 512x512 matrices, GFLOP/s: a reference BLAS gives a few, an optimised one a hundred a core.
double gemm_rate() {
  const torch::Tensor a = torch::ones({512, 512}), b = torch::ones({512, 512});
  torch::mm(a, b);
  constexpr int kRounds = 20;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) torch::mm(a, b);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return kRounds * 2.0 * 512 * 512 * 512 / seconds / 1e9;
}

int examine(const Globals& globals, bool as_json) {
  using nlohmann::ordered_json;
  const Registry registry = load_plugins(globals);
  const std::filesystem::path root = cache_root(globals);
  at::set_num_threads(resolve_threads(globals));
  std::map<std::string, int> kinds;
  for (const Registry::Item& item : registry.items()) ++kinds[kind_name(item.entry->kind)];

  ordered_json out;
  out["nmlbench"] = fmt::format("{} ({})", NMLBENCH_VERSION, git_revision());
  out["build"] = NMLBENCH_BUILD_STAMP;
  out["libtorch"] = libtorch_version();
  out["cpu"] = fmt::format("{}, {} threads", cpu_name(), resolve_threads(globals));
  out["gemm"] = fmt::format("{:.0f} GFLOP/s float32", gemm_rate());
  out["cuda"] = torch::cuda::is_available()
                    ? fmt::format("{} device(s), {}, CUDA {}", torch::cuda::device_count(), gpu_name(), cuda_version())
                    : "none";
  std::string found;
  for (const auto& [kind, count] : kinds) found += fmt::format("{}{} {}", found.empty() ? "" : ", ", count, kind);
  out["plugins"] = found.empty() ? "none" : found;
  for (const auto& folder : plugin_search_path(globals.plugin_dirs)) {
    out["plugin_path"].push_back(folder.string() + (std::filesystem::is_directory(folder) ? "" : " (not there)"));
  }
  for (const RejectedLibrary& library : registry.rejected()) {
    out["rejected"].push_back(fmt::format("{}: {}", library.file.string(), library.reason));
  }
  const ArtifactCache cache(root);  // one that cannot be used is an error here
  const auto bytes = [](std::uintmax_t count) { return format_count(static_cast<double>(count)) + "B"; };
  std::error_code ignored;
  out["cache"] = fmt::format("{}, {} used, {} free", root.string(), bytes(disk_usage(root)),
                             bytes(std::filesystem::space(root, ignored).available));
  out["images"] = fmt::format(
      "{} of it decoded images in {}, at most {:g} GB (--image-cache-gb, NMLBENCH_IMAGE_CACHE_GB); the least recently "
      "used go first; the folder may be removed at any time",
      bytes(disk_usage(root / "images")), (root / "images").string(), globals.image_cache_gb);
  if (as_json) {
    fmt::print("{}\n", out.dump(2));
    return kDone;
  }
  for (const auto& [key, value] : out.items()) {
    if (value.is_string()) fmt::print("{:<12} {}\n", key, printable(value.get<std::string>()));
    for (const auto& line : value.is_array() ? value : ordered_json::array()) {
      fmt::print("{:<12} {}\n", key, printable(line.get<std::string>()));
    }
  }
  return kDone;
}

std::string verdict(const DataFinding& finding) {
  if (finding.whole) return fmt::format("whole: {} samples, {} classes", finding.samples, finding.classes);
  return (finding.found ? "not whole: " : "not usable: ") + finding.message;
}

// Sets of which nothing is there take one line, all others one for each split.
int examine_data(const Globals& globals, const std::filesystem::path& folder, bool as_json) {
  const std::vector<DataFinding> findings = check_data(load_plugins(globals), folder);
  std::map<std::string, int> found;
  for (const DataFinding& finding : findings) found[finding.dataset] += finding.found ? 1 : 0;
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  std::string last_absent;
  for (const DataFinding& finding : findings) {
    out.push_back({{"dataset", finding.dataset},
                   {"split", finding.split},
                   {"found", finding.found},
                   {"whole", finding.whole},
                   {"samples", finding.samples},
                   {"classes", finding.classes},
                   {"message", finding.message}});
    if (as_json || finding.dataset == last_absent) continue;
    const bool absent = found[finding.dataset] == 0;
    if (absent) last_absent = finding.dataset;
    fmt::print("{:<16} {:<20} {}\n", finding.dataset, absent ? "-" : finding.split, printable(verdict(finding)));
  }
  if (as_json) fmt::print("{}\n", out.dump(2));
  return kDone;
}

int examine_cache(const Globals& globals, bool as_json) {
  const std::filesystem::path root = cache_root(globals);
  if (!std::filesystem::is_directory(root)) throw Error(root.string() + ": is no folder; give --cache-dir DIR");
  const CacheReport report = check_cache(root);
  const int status = report.damage.empty() ? kDone : kDamaged;
  if (as_json) {
    nlohmann::ordered_json out = {{"cache", root.string()}, {"damage", report.damage}};
    for (const CacheKind& kind : report.kinds) {
      out["kinds"].push_back(
          {{"name", kind.name}, {"count", kind.count}, {"bytes", kind.bytes}, {"damaged", kind.damaged}});
    }
    fmt::print("{}\n", out.dump(2));
    return status;
  }
  fmt::print("{}\n", root.string());
  for (const CacheKind& kind : report.kinds) {
    fmt::print("  {:<24} {:>8} {:>9}B {}\n", kind.name, kind.count, format_count(static_cast<double>(kind.bytes)),
               kind.damaged > 0 ? fmt::format("{} damaged", kind.damaged) : "whole");
  }
  for (const std::string& line : report.damage) fmt::print("{}\n", printable(line));
  if (status != kDone) {
    fmt::print(
        "Nothing was removed. Whatever run needs these next throws them away and computes them again; they may also be "
        "removed by hand. If more turn up, check the disk and the memory.\n");
  }
  return status;
}

}  // namespace

void add_doctor(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand("doctor", "Versions, devices, threads, BLAS, plugins, disk and cache");
  auto as_json = std::make_shared<bool>(false), cache = std::make_shared<bool>(false);
  auto data = std::make_shared<std::filesystem::path>();
  verb->add_option("--data", *data,
                   "Instead: which of the known data sets this folder holds, and whether they are whole");
  verb->add_flag("--cache", *cache, "Instead: read the whole cache and list what is damaged (status 1)")
      ->excludes("--data");
  verb->add_flag("--json", *as_json, "As JSON");
  verb->callback([&globals, &action, as_json, cache, data] {
    action = [&globals, as_json, cache, data] {
      if (*cache) return examine_cache(globals, *as_json);
      return data->empty() ? examine(globals, *as_json) : examine_data(globals, *data, *as_json);
    };
  });
}

}  // namespace nmlbench::cli
