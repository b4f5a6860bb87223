#include "engine/stage_sharing.h"

#include "engine/checkpoint_facts.h"
#include "engine/encode.h"

#include <nmlbench/digest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <tuple>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

using Kind = SharedStage::Kind;

constexpr std::chrono::milliseconds kShortestWait{100}, kLongestWait{2000};

// What one stage does of the cells of a checkpoint: all heads of a task stack together; fits of an encoder tuner are
// long, and each is for itself.
auto group_of(const Plan& plan, const Cell& cell) {
  const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
  const bool moves = tuner.moves_encoder();
  return std::tuple(moves, cell.checkpoint, cell.task, moves ? cell.noise : std::nullopt, moves ? cell.fraction : 0,
                    moves ? cell.seed : 0, moves ? tuner.name + tuner.stack_key : "", moves ? cell.grid : std::nullopt);
}

class StageList {
 public:
  StageList(const Plan& plan, const std::function<std::set<std::size_t>(std::size_t)>& encodings_of)
      : plan_(plan), encodings_of_(encodings_of) {}

  std::vector<SharedStage> make(const std::set<std::size_t>& cells, const std::set<std::size_t>& measured) {
    add_encodings(cells, measured);
    add_cells(cells);
    SharedStage alignments;
    alignments.kind = Kind::alignments;
    alignments.name = "compare encoders with their clean twins";
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      if (stages_[i].kind == Kind::encode) alignments.after.push_back(i);
    }
    stages_.push_back(std::move(alignments));
    for (SharedStage& stage : stages_) stage.id = id_of(stage);
    return std::move(stages_);
  }

 private:
  // The long ones first: trainings, then what is read from their weights.
  void add_encodings(const std::set<std::size_t>& cells, const std::set<std::size_t>& measured) {
    std::map<std::size_t, std::vector<std::size_t>> by_checkpoint;
    std::set<std::size_t> wanted;
    for (const std::size_t cell : cells) wanted.merge(encodings_of_(cell));
    for (const std::size_t checkpoint : measured) by_checkpoint[checkpoint];
    for (const std::size_t encoding : wanted) by_checkpoint[plan_.encodings[encoding].checkpoint].push_back(encoding);
    std::map<std::size_t, std::vector<EncodingPass>> others;
    for (const auto& [checkpoint, encodings] : by_checkpoint) {
      std::vector<EncodingPass>& passes = others[checkpoint] = encoding_passes(plan_, encodings);
      if (!plan_.checkpoints[checkpoint].trained()) continue;
      add_pass(checkpoint, passes.empty() ? EncodingPass() : passes.front(), std::nullopt);
      if (!passes.empty()) passes.erase(passes.begin());
      first_of_[checkpoint] = stages_.size() - 1;
    }
    for (const auto& [checkpoint, passes] : others) {
      const auto first = first_of_.find(checkpoint);
      for (const EncodingPass& pass : passes)
        add_pass(checkpoint, pass, first == first_of_.end() ? std::nullopt : std::optional(first->second));
    }
  }

  void add_pass(std::size_t checkpoint, const EncodingPass& pass, std::optional<std::size_t> trained) {
    const Checkpoint& own = plan_.checkpoints[checkpoint];
    SharedStage stage;
    stage.checkpoint = checkpoint;
    stage.first = own.trained() && !trained;
    stage.encodings = pass;
    if (trained) stage.after.push_back(*trained);
    stage.name = stage.first
                     ? "pre-train " + name_for_people(own)
                     : fmt::format("encode {} by {}", plan_.splits[plan_.encodings[pass.front()].split].plugin.name,
                                   name_for_people(own));
    for (const std::size_t encoding : pass) stage_of_[encoding] = stages_.size();
    stages_.push_back(std::move(stage));
  }

  void add_cells(const std::set<std::size_t>& cells) {
    std::map<decltype(group_of(plan_, plan_.cells.front())), std::vector<std::size_t>> groups;
    for (const std::size_t cell : cells) groups[group_of(plan_, plan_.cells[cell])].push_back(cell);
    for (auto& [group, members] : groups) {
      const Cell& cell = plan_.cells[members.front()];
      const ResolvedPlugin& tuner = plan_.tuners[cell.tuner];
      const std::string encoder = name_for_people(plan_.checkpoints[cell.checkpoint]);
      SharedStage stage;
      stage.kind = Kind::cells;
      stage.checkpoint = cell.checkpoint;
      stage.name = tuner.moves_encoder()
                       ? fmt::format("fine-tune {} on {}, task {}", tuner.name, encoder, plan_.tasks[cell.task].name)
                       : fmt::format("tune {} on {}", plan_.tasks[cell.task].name, encoder);
      std::set<std::size_t> after;
      for (const std::size_t member : members) {
        for (const std::size_t encoding : encodings_of_(member)) after.insert(stage_of_.at(encoding));
      }
      stage.after.assign(after.begin(), after.end());
      stage.cells = std::move(members);
      stages_.push_back(std::move(stage));
    }
  }

  std::string id_of(const SharedStage& stage) const {
    Digest digest;
    digest.update("stage/1").update(fmt::format("{}", static_cast<int>(stage.kind)));
    if (stage.first) digest.update(plan_.checkpoints[stage.checkpoint].id);
    for (const std::size_t encoding : stage.encodings) digest.update(plan_.encodings[encoding].id);
    for (const std::size_t cell : stage.cells) digest.update(plan_.cells[cell].id);
    if (stage.kind == Kind::alignments) {
      for (const SharedStage& other : stages_) digest.update(other.id);
    }
    return digest.hex();
  }

  const Plan& plan_;
  const std::function<std::set<std::size_t>(std::size_t)>& encodings_of_;
  std::vector<SharedStage> stages_;
  std::map<std::size_t, std::size_t> first_of_;  // checkpoint -> the stage that trains it
  std::map<std::size_t, std::size_t> stage_of_;  // encoding -> the stage that makes it
};

}  // namespace

std::vector<SharedStage> shared_stages(const Plan& plan, const std::set<std::size_t>& cells,
                                       const std::set<std::size_t>& measured,
                                       const std::function<std::set<std::size_t>(std::size_t)>& encodings_of) {
  return StageList(plan, encodings_of).make(cells, measured);
}

namespace {

class Sharing {
 public:
  Sharing(const std::vector<SharedStage>& stages, StageBoard& board, const SharedWork& work)
      : stages_(stages), board_(board), work_(work), finished_(stages.size()) {}

  void run() {
    std::chrono::milliseconds wait = kShortestWait;
    while (true) {
      learn_of_others();
      if (std::all_of(finished_.begin(), finished_.end(), [](char finished) { return finished != 0; })) return;
      work_.check();
      if (run_next()) {
        wait = kShortestWait;
        continue;
      }
      std::this_thread::sleep_for(wait);
      wait = std::min(2 * wait, kLongestWait);
    }
  }

 private:
  void learn_of_others() {
    const std::set<std::string> finished = board_.finished();
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      if (finished_[i] != 0 || finished.count(stages_[i].id) == 0) continue;
      work_.learn(stages_[i], board_.about(stages_[i].id));
      finished_[i] = 1;
    }
  }

  // The first one that nobody is at. False when there is none.
  bool run_next() {
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      const SharedStage& stage = stages_[i];
      const auto has_come = [&](std::size_t other) { return finished_[other] != 0; };
      if (finished_[i] != 0 || !std::all_of(stage.after.begin(), stage.after.end(), has_come)) continue;
      const std::optional<Lease> lease = board_.take(stage.id);
      if (!lease) continue;
      spdlog::info("takes: {}", stage.name);
      board_.finish(stage.id, work_.run(stage));
      return true;
    }
    return false;
  }

  const std::vector<SharedStage>& stages_;
  StageBoard& board_;
  const SharedWork& work_;
  std::vector<char> finished_;
};

}  // namespace

void share_stages(const std::vector<SharedStage>& stages, StageBoard& board, const SharedWork& work) {
  Sharing(stages, board, work).run();
}

}  // namespace nmlbench
