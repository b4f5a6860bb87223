#include "cache/feature_store.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "support/output_file.h"

#include <nmlbench/dense.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// NumPy's format 1.0: magic, version, header length, a Python dict padded to 64 bytes, then the data in C order.
void write_npy(const fs::path& file, const torch::Tensor& tensor) {
  const torch::Tensor data = tensor.contiguous();
  std::string shape;
  for (const std::int64_t size : data.sizes()) shape += fmt::format("{},", size);
  const char* type = data.scalar_type() == torch::kInt64 ? "<i8" : "<f4";
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, shape);
  header.append(63 - (10 + header.size()) % 64, ' ').push_back('\n');
  const char length[] = {static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  OutputFile out(file);
  out.write({"\x93NUMPY\x01\x00", 8});
  out.write({length, sizeof length});
  out.write(header);
  out.write({reinterpret_cast<const char*>(dense_bytes(data)), data.nbytes()});
  out.finish();
}

// Features are all this verb wants; nothing goes to a database.
class NoSink : public ResultSink {
 public:
  void cells(const std::vector<CellRecord>&) override {}
  void stage(const StageRecord&) override {}
  void noise(const NoiseRecord&) override {}
};

// Not the training images without their views, which score candidates ([selection]) and would take the same file.
bool is_of_a_task(const Plan& plan, const Encoding& encoding) {
  return std::any_of(plan.tasks.begin(), plan.tasks.end(), [&](const Task& task) {
    const auto is_of = [&](const TestSet& test) { return test.split == encoding.split; };
    return (task.train == encoding.split && task.views.canonical == encoding.views.canonical) ||
           std::any_of(task.tests.begin(), task.tests.end(), is_of);
  });
}

// "TASK-train", "TASK-TESTSET"; a split that several tasks share is named after the first. Throws Error when files of
// two splits under one checkpoint would have one name.
std::map<std::size_t, std::string> name_splits(const Plan& plan) {
  std::map<std::size_t, std::string> names;
  for (const Task& task : plan.tasks) {
    names.try_emplace(task.train, task.name + "-train");
    for (const TestSet& test : task.tests) names.try_emplace(test.split, task.name + "-" + test.name);
  }
  const std::map<std::size_t, std::string> given = names;
  for (auto& [split, name] : names) std::replace(name.begin(), name.end(), '/', '_');
  std::map<std::pair<std::size_t, std::string>, std::size_t> taken;  // checkpoint and name -> split
  for (const Encoding& encoding : plan.encodings) {
    const std::string& name = names.at(encoding.split);
    const std::size_t other = taken.emplace(std::pair{encoding.checkpoint, name}, encoding.split).first->second;
    if (other == encoding.split) continue;
    throw Error(
        fmt::format("{}: the features of {} and {} would both be written to {}_x.npy; rename a task or test set",
                    plan.matrix, given.at(other), given.at(encoding.split), name));
  }
  return names;
}

// "_pooling=mean,layer=-2" for a readout that is not the default.
std::string suffix_of(const ResolvedPlugin& encoder) {
  std::string suffix = encoder.readout_id.empty() ? "" : "_" + encoder.readout_id;
  std::replace(suffix.begin(), suffix.end(), '/', '_');
  return suffix;
}

json describe(const Plan& plan, const Checkpoint& checkpoint) {
  json entry = {{"id", checkpoint.id}, {"encoder", checkpoint.encoder.identity()}, {"seed", checkpoint.seed}};
  if (checkpoint.trained()) {
    entry["pretrain_dataset"] = plan.splits[*checkpoint.split].plugin.identity();
    entry["noise"] = checkpoint.noise_name();
    entry["noise_ratio"] = checkpoint.noise_ratio().value();
  }
  return entry;
}

int write_features(const Globals& globals, const MatrixOptions& options, const fs::path& out) {
  const PlannedMatrix planned = plan_matrix(globals, options);
  const Plan& plan = planned.plan;
  if (plan.encodings.empty()) throw Error("the matrix has no [[task]], so there is nothing to encode");
  const auto names = name_splits(plan);
  ArtifactCache cache(cache_root(globals));
  NoSink sink;
  std::set<std::size_t> wanted;
  for (std::size_t i = 0; i < plan.encodings.size(); ++i) {
    if (!is_of_a_task(plan, plan.encodings[i])) continue;
    const std::string& error = plan.splits[plan.encodings[i].split].facts.error;
    if (!error.empty()) throw DataError(error);
    wanted.insert(i);
  }
  {
    RunProgress progress(plan.matrix, 0, globals.quiet);
    const auto errors = make_encodings(plan, wanted, engine_options(globals, options, planned), cache, sink, progress);
    if (!errors.empty()) {  // each is in the log already
      throw Error(fmt::format("{} of {} encodings failed, so nothing was written", errors.size(), wanted.size()));
    }
  }

  std::map<std::string, json> checkpoints;
  for (const std::size_t i : wanted) {
    const Encoding& encoding = plan.encodings[i];
    const Checkpoint& checkpoint = plan.checkpoints[encoding.checkpoint];
    const Features features = require_features(cache, encoding.id);
    const ResolvedPlugin& read = checkpoint.readouts[encoding.readout];
    const std::string stem = checkpoint.id + "/" + names.at(encoding.split) + suffix_of(read);
    fs::create_directories(out / checkpoint.id);
    write_npy(out / (stem + "_x.npy"), features.x);
    write_npy(out / (stem + "_y.npy"), features.y);
    json& entry = checkpoints.try_emplace(checkpoint.id, describe(plan, checkpoint)).first->second;
    entry["splits"].push_back({{"name", names.at(encoding.split)},
                               {"x", stem + "_x.npy"},
                               {"y", stem + "_y.npy"},
                               {"data", plan.splits[encoding.split].plugin.identity()},
                               {"rows", features.x.size(0)},
                               {"dim", features.x.size(1)},
                               {"tokens", features.tokens},
                               {"classes", features.classes}});
    if (!read.readout.empty()) entry["splits"].back()["readout"] = json::parse(read.readout);
  }
  json index = {{"matrix", plan.matrix}, {"checkpoints", json::array()}};
  for (auto& [id, entry] : checkpoints) index["checkpoints"].push_back(std::move(entry));
  write_output(out / "index.json", index.dump(2) + "\n");
  fmt::print("{} checkpoints, {} splits: {}\n", checkpoints.size(), wanted.size(), (out / "index.json").string());
  return kDone;
}

}  // namespace

void add_features(CLI::App& app, Globals& globals, Action& action) {
  auto* verb =
      app.add_subcommand("features", "Write the frozen features of every checkpoint x readout x split as .npy files");
  auto options = std::make_shared<MatrixOptions>();
  auto out = std::make_shared<fs::path>();
  add_matrix_options(*verb, *options);
  verb->add_option("-o,--out", *out, "Folder for CHECKPOINT/SPLIT[_READOUT]_x.npy, _y.npy and index.json")->required();
  verb->callback([&globals, &action, options, out] {
    action = [&globals, options, out] { return write_features(globals, *options, *out); };
  });
}

}  // namespace nmlbench::cli
