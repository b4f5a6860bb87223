#include "engine/shared_run.h"

#include "engine/records_json.h"
#include "engine/stage_sharing.h"

#include <nmlbench/error.h>

namespace nmlbench {
namespace {

// Checkpoints whose upstream accuracy is wanted and can be measured.
std::set<std::size_t> measured_checkpoints(const SharedRun& run) {
  std::set<std::size_t> measured;
  for (const Cell& cell : run.plan.cells) {
    const Checkpoint& own = run.plan.checkpoints[cell.checkpoint];
    const bool can_be = own.validation && own.validation->test.obstacle.empty() && run.plan.obstacle(cell).empty();
    if (can_be && run.options.validate(own)) measured.insert(cell.checkpoint);
  }
  return measured;
}

// Encoding id -> why it is not there.
std::map<std::string, Failure> encode(const SharedRun& run, const SharedStage& stage) {
  const std::string& checkpoint = run.plan.checkpoints[stage.checkpoint].id;
  EngineOptions options = run.options;
  options.validate = [&](const Checkpoint& own) {
    return stage.first && own.id == checkpoint && run.options.validate(own);
  };
  std::map<std::string, Failure> failures;
  for (const auto& [encoding, failure] : run.make({stage.encodings.begin(), stage.encodings.end()}, options)) {
    failures.emplace(run.plan.encodings[encoding].id, failure);
  }
  // nobody shall try a training again for each of its checkpoint's splits
  if (!failures.empty() && stage.first && !run.cache.has(ArtifactKind::checkpoint, checkpoint)) {
    const Failure failure = failures.begin()->second;
    for (const Encoding& encoding : run.plan.encodings) {
      if (encoding.checkpoint == stage.checkpoint) failures.emplace(encoding.id, failure);
    }
  }
  return failures;
}

// A message that more cells have than before; "" where there is none.
std::string newest_failure(const ExecutionSummary& before, const ExecutionSummary& now) {
  for (const auto& [message, cells] : now.failures) {
    const auto earlier = before.failures.find(message);
    if (earlier == before.failures.end() || earlier->second < cells) return message;
  }
  return "";
}

nlohmann::json run_stage(const SharedRun& run, const SharedStage& stage) {
  const ExecutionSummary before = run.summary;
  std::map<std::string, Failure> failures;
  if (stage.kind == SharedStage::Kind::encode) failures = encode(run, stage);
  if (stage.kind == SharedStage::Kind::cells) run.run_cells({stage.cells.begin(), stage.cells.end()});
  if (stage.kind == SharedStage::Kind::alignments) run.measure_alignments();
  return {{"failures", failures},
          {"done", run.summary.done - before.done},
          {"failed", run.summary.failed - before.failed},
          {"message", failures.empty() ? newest_failure(before, run.summary) : failures.begin()->second.message}};
}

}  // namespace

void run_shared(const SharedRun& run, const std::set<std::size_t>& cells) {
  const std::vector<SharedStage> stages = shared_stages(run.plan, cells, measured_checkpoints(run), run.encodings_of);
  nlohmann::json announced = nlohmann::json::array();
  for (const SharedStage& stage : stages) {
    announced.push_back({{"id", stage.id}, {"name", stage.name}, {"cells", stage.cells.size()}});
  }
  run.options.board->announce(announced);
  SharedWork work;
  work.run = [&](const SharedStage& stage) { return run_stage(run, stage); };
  work.learn = [&](const SharedStage&, const nlohmann::json& about) {
    for (const auto& [encoding, failure] : about.at("failures").get<std::map<std::string, Failure>>()) {
      run.learn(encoding, failure);
    }
  };
  work.check = [&] {
    const auto is_set = [](const std::atomic<bool>* flag) { return flag != nullptr && flag->load(); };
    if (is_set(run.options.leave) || is_set(run.options.stop)) throw Interrupted();
  };
  share_stages(stages, *run.options.board, work);
}

}  // namespace nmlbench
