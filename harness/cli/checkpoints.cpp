#include "cli/cli.h"
#include "cli/session.h"
#include "engine/checkpoint_file.h"
#include "support/output_file.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

namespace nmlbench::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// "resnet_symmetric_0.1_s0_1f2e3d4c.safetensors"; the beginning of the id tells recipes apart.
std::string file_name(const Checkpoint& checkpoint) {
  std::string name = fmt::format("{}_{}_{:g}_s{}_{}", checkpoint.encoder_name(), checkpoint.noise_models(),
                                 checkpoint.noise_ratio().value(), checkpoint.seed, checkpoint.id.substr(0, 8));
  std::replace(name.begin(), name.end(), '/', '_');
  return name + ".safetensors";
}

// Through another name, so that the file is whole or not there.
void copy_whole(const fs::path& from, const fs::path& to) {
  const fs::path partial = to.string() + ".partial";
  fs::copy_file(from, partial, fs::copy_options::overwrite_existing);
  fs::rename(partial, to);
}

int write_checkpoints(const Globals& globals, const MatrixOptions& options, const fs::path& out) {
  const PlannedMatrix planned = plan_matrix(globals, options);
  const ArtifactCache cache(cache_root(globals));
  json written = json::array();
  std::size_t trained = 0;
  for (const Checkpoint& checkpoint : planned.plan.checkpoints) {
    if (!checkpoint.trained()) continue;
    ++trained;
    cache.use(ArtifactKind::checkpoint, checkpoint.id, [&](const Artifact& artifact) {
      const fs::path file = artifact.folder / kCheckpointFile;
      if (!fs::exists(file)) return;  // of an earlier version
      json entry = *artifact.about;
      entry["id"] = checkpoint.id;
      entry["file"] = file_name(checkpoint);
      fs::create_directories(out);
      copy_whole(file, out / entry["file"].get<std::string>());
      written.push_back(std::move(entry));
    });
  }
  if (trained == 0) throw Error("the matrix pre-trains nothing, so it has no checkpoints");
  const std::string missing = fmt::format("{} of {} checkpoints are not trained yet; `nmlbench run` trains them",
                                          trained - written.size(), trained);
  if (written.empty()) throw Error(missing);
  const json index = {{"matrix", planned.plan.matrix}, {"checkpoints", written}};
  write_output(out / "index.json", index.dump(2) + "\n");
  fmt::print("{} checkpoints: {}\n", written.size(), (out / "index.json").string());
  if (written.size() == trained) return kDone;
  spdlog::warn(missing);
  return kSomeCellsFailed;
}

}  // namespace

void add_checkpoints(CLI::App& app, Globals& globals, Action& action) {
  auto* verb = app.add_subcommand("checkpoints", "Write the trained encoders as .safetensors files");
  auto options = std::make_shared<MatrixOptions>();
  auto out = std::make_shared<fs::path>();
  add_matrix_options(*verb, *options);
  verb->add_option("-o,--out", *out, "Folder for ENCODER_NOISE_RATIO_sSEED_ID.safetensors and index.json")->required();
  verb->callback([&globals, &action, options, out] {
    action = [&globals, options, out] { return write_checkpoints(globals, *options, *out); };
  });
}

}  // namespace nmlbench::cli
