#include "cli/recorded_matrix.h"

#include <set>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {

RecordedMatrix recorded_matrix(const RecordedRun& run) {
  if (run.matrix_source.empty()) {
    throw Error(
        "it was run by an earlier version, which kept no matrix file; name the file that it was run from: --matrix "
        "FILE, "
        "with the same --set");
  }
  try {
    const auto json = nlohmann::json::parse(run.matrix_source);
    RecordedMatrix recorded;
    recorded.source = {json.at("file").get<std::string>(), json.at("text").get<std::string>(),
                       json.at("set").get<std::vector<std::string>>()};
    recorded.folder = json.at("folder").get<std::string>();
    recorded.plugin_dirs = fmt::format("{}", fmt::join(json.at("plugin_dirs").get<std::vector<std::string>>(), " "));
    return recorded;
  } catch (const nlohmann::json::exception&) {
    throw Error(
        "the recorded matrix is damaged; name the file that it was run from: --matrix FILE, with the same --set");
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

std::string changed_data(const Plan& plan, const RecordedRun& run) {
  const auto before = nlohmann::json::parse(run.matrix_json, nullptr, false);
  if (!before.is_object() || !before.contains("splits")) return "";
  std::set<std::string> known;
  for (const auto& split : before["splits"]) known.insert(split.value("digest", ""));
  for (const Split& split : plan.splits) {
    if (!split.facts.error.empty()) return split.facts.error;
    if (known.count(split.facts.digest) == 0) {
      return fmt::format("{}: the data are not those of the run", split.plugin.where.text());
    }
  }
  return "";
}

}  // namespace nmlbench::cli
