#include "cli/recorded_matrix.h"

#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {

RecordedMatrix recorded_matrix(const RecordedRun& run, const std::string& whose) {
  constexpr const char* kAdvice = "name the file that it was run from: --matrix FILE, with the same --set";
  if (run.matrix_source.empty())
    throw Error(fmt::format("{} was run by an earlier version, which kept no matrix file; {}", whose, kAdvice));
  try {
    const auto json = nlohmann::json::parse(run.matrix_source);
    RecordedMatrix recorded;
    recorded.source = {json.at("file").get<std::string>(), json.at("text").get<std::string>(),
                       json.at("set").get<std::vector<std::string>>()};
    recorded.folder = json.at("folder").get<std::string>();
    recorded.plugin_dirs = fmt::format("{}", fmt::join(json.at("plugin_dirs").get<std::vector<std::string>>(), " "));
    return recorded;
  } catch (const nlohmann::json::exception&) {
    throw Error(fmt::format("the matrix recorded for {} is damaged; {}", whose, kAdvice));
  }
}

Globals with_absolute_paths(Globals globals) {
  for (std::filesystem::path& folder : globals.plugin_dirs) folder = std::filesystem::absolute(folder);
  globals.cache_dir = std::filesystem::absolute(cache_root(globals));
  return globals;
}

PlannedMatrix plan_recorded(const Globals& globals, const MatrixOptions& how, const RecordedMatrix& recorded) {
  std::error_code ignored;
  if (!recorded.source.set.empty()) std::filesystem::current_path(recorded.folder, ignored);
  return plan_matrix(globals, how, recorded.source);
}

std::string change_of(const Split& split, const RecordedRun& run) {
  if (!split.facts.error.empty()) return split.facts.error;
  const auto before = nlohmann::json::parse(run.matrix_json, nullptr, false);
  if (!before.is_object() || !before.contains("splits")) return "";
  for (const auto& known : before["splits"]) {
    if (known.value("digest", "") == split.facts.digest) return "";
  }
  return fmt::format("{}: the data are not those of the run", split.plugin.where.text());
}

std::string changed_data(const Plan& plan, const RecordedRun& run) {
  for (const Split& split : plan.splits) {
    if (std::string change = change_of(split, run); !change.empty()) return change;
  }
  return "";
}

}  // namespace nmlbench::cli
