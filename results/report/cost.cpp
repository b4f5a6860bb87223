// Accuracy against cost, with the front of methods that no other beats in both.
#include "results/boards/throughput.h"
#include "results/render/board_facts.h"
#include "results/report/figures.h"

#include <tuple>
#include <utility>

namespace nmlbench {

namespace {

using OptionalScore = std::optional<Score> MethodCost::*;

constexpr std::pair<const char*, OptionalScore> kKindScores[] = {{"id", &MethodCost::id}, {"ood", &MethodCost::ood}};

// One encoder on one device, by one kind of test set: only such methods compare.
using Arena = std::tuple<std::size_t, std::string, std::string>;

struct Contender {
  const MethodCost* method = nullptr;
  std::size_t series = 0;
  const Score* score = nullptr;
};

std::map<Arena, std::vector<Contender>> arenas(const ThroughputBoard& board, const Axes& axes) {
  std::map<Arena, std::vector<Contender>> result;
  for (const MethodCost& method : board.methods) {
    const auto encoder = axes.encoder(method.encoder, method.encoder_params.text);
    const auto series = axes.series(method.tuner, method.tuner_params.text);
    if (!encoder || !series || !method.complete) continue;
    if (method.seconds_per_cell.value_or(0.0) <= 0.0) continue;  // a logarithmic axis has no place for it
    for (const auto& [kind, score] : kKindScores) {
      if (method.*score) result[{*encoder, method.device, kind}].push_back({&method, *series, &*(method.*score)});
    }
  }
  return result;
}

std::vector<const Score*> scores_of(const ThroughputBoard& board) {
  std::vector<const Score*> scores;
  for (const MethodCost& method : board.methods) {
    for (const auto& [kind, score] : kKindScores) scores.push_back(pointer_to(method.*score));
  }
  return scores;
}

}  // namespace

Json cost_figure(const Store& store, const Axes& axes, Json& notes) {
  const ThroughputBoard board = query_throughput(store, {});
  notes["cost"] = inference_note(Inference{}, scores_of(board), "");
  Json rows = Json::array();
  for (const auto& [arena, contenders] : arenas(board, axes)) {
    const auto& [encoder, device, kind] = arena;
    std::vector<CostPoint> points;
    for (const Contender& each : contenders) points.push_back({each.score->mean, *each.method->seconds_per_cell});
    std::vector<int> on_front(contenders.size());
    for (const std::size_t i : pareto_front(points, better(board.metric) == Better::higher)) on_front[i] = 1;
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      const Contender& each = contenders[i];
      const auto& half_width = each.score->half_width;
      rows.push_back({encoder, device, kind, each.series, rounded(points[i].cost), rounded(100.0 * each.score->mean, 5),
                      half_width ? rounded(100.0 * *half_width, 3) : Json(nullptr), on_front[i]});
    }
  }
  return {{"rows", rows}};
}

}  // namespace nmlbench
