// Stages of equal words as one: what demand.cpp and encoder_demand.cpp fill.
#pragma once

#include "engine/demand.h"
#include "plan/planned_cell.h"

#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace nmlbench {

class DemandTable {
 public:
  // Numbers tell stages of one kind apart.
  StageDemand& stage(DemandKind kind, std::size_t a = 0, std::size_t b = 0, std::int64_t dim = 0,
                     std::int64_t classes = 0) {
    StageDemand& found = stages_[{kind, a, b, dim, classes}];
    found.kind = kind;
    return found;
  }

  // Checkpoints that agree in encoder and recipe are one stage.
  StageDemand& stage(DemandKind kind, const Checkpoint& checkpoint, const Split& data) {
    const std::string params = encoder_params(checkpoint), words = recipe(checkpoint), unit = unit_of(data);
    const auto place = encoders_.try_emplace({checkpoint.encoder_name(), params, words, unit}, encoders_.size()).first;
    StageDemand& found = stage(kind, place->second);
    found.encoder = checkpoint.encoder_name();
    found.encoder_params = params;
    found.recipe = words;
    found.unit = unit;
    found.threads = checkpoint.trained() ? checkpoint.optim.threads : 0;
    return found;
  }

  static const char* unit_of(const Split& data) { return data.is_text() ? "samples" : "images"; }

  std::vector<StageDemand> take() {
    std::vector<StageDemand> all;
    for (auto& [key, stage] : stages_) all.push_back(std::move(stage));
    return all;
  }

 private:
  std::map<std::tuple<DemandKind, std::size_t, std::size_t, std::int64_t, std::int64_t>, StageDemand> stages_;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, std::size_t> encoders_;
};

}  // namespace nmlbench
