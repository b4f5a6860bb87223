// How the training loss of heads fell, mean over seeds.
#include "results/report/figures.h"
#include "results/store/database.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <utility>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// Points of all curves together: keeps the page small whatever the database holds.
constexpr std::size_t kLossBudget = 100'000;

struct MeanLoss {
  std::vector<double> sum;  // of each epoch
  std::size_t seeds = 0;

  // Heads of one setting train for as many epochs; where one did not, epochs that all have are averaged.
  void add(const float* losses, std::size_t epochs) {
    sum.resize(seeds == 0 ? epochs : std::min(epochs, sum.size()));
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += losses[i];
    ++seeds;
  }
};

// Panel, series, task, noise rate, and the ratio that was asked for.
using LossKey = std::tuple<std::size_t, std::size_t, std::string, double, double>;

std::map<LossKey, MeanLoss> mean_losses(const Store& store, const Axes& axes) {
  const auto keys = static_cast<int>(axes.columns().size());
  SQLite::Statement statement(store.impl().db, fmt::format("SELECT v.{}", fmt::join(axes.columns(), ", v.")) +
                                                   ", c.task, k.loss FROM curves k JOIN cells c USING (cell)"
                                                   " JOIN v_cells v USING (cell_id)"
                                                   " WHERE c.status = 'done' AND NOT c.superseded");
  std::map<LossKey, MeanLoss> curves;
  while (statement.executeStep()) {
    std::vector<std::string> key;
    for (int i = 0; i < keys; ++i) key.push_back(statement.getColumn(i).getString());
    const auto place = axes.place(key);
    if (!place || !axes.is_full_fraction(*place)) continue;
    const SQLite::Column blob = statement.getColumn(keys + 1);
    std::vector<float> losses(static_cast<std::size_t>(blob.getBytes()) / sizeof(float));
    if (losses.empty()) continue;
    std::memcpy(losses.data(), blob.getBlob(), losses.size() * sizeof(float));
    curves[{place->panel, place->series, statement.getColumn(keys).getString(), place->noise_rate, place->noise_ratio}]
        .add(losses.data(), losses.size());
  }
  return curves;
}

// 1-based, evenly spread, the first and the last among them.
std::vector<std::size_t> shown_epochs(std::size_t epochs, std::size_t most) {
  const std::size_t count = std::min(epochs, most);
  std::vector<std::size_t> shown;
  for (std::size_t i = 0; i < count; ++i) shown.push_back(count > 1 ? 1 + i * (epochs - 1) / (count - 1) : 1);
  return shown;
}

}  // namespace

Json learning_figure(const Store& store, const Axes& axes) {
  const auto curves = mean_losses(store, axes);
  const std::size_t most = std::clamp<std::size_t>(kLossBudget / std::max<std::size_t>(1, curves.size()), 8, 60);
  std::map<std::vector<std::size_t>, std::size_t> numbers;
  Json epochs = Json::array(), rows = Json::array();
  for (const auto& [key, curve] : curves) {
    const auto& [panel, series, task, rate, ratio] = key;
    const std::vector<std::size_t> shown = shown_epochs(curve.sum.size(), most);
    const auto [number, added] = numbers.try_emplace(shown, numbers.size());
    if (added) epochs.push_back(shown);
    Json losses = Json::array();
    for (const std::size_t epoch : shown) {
      losses.push_back(rounded(curve.sum[epoch - 1] / static_cast<double>(curve.seeds)));
    }
    rows.push_back({panel, series, task, rate, curve.seeds, number->second, std::move(losses)});
  }
  return {{"epochs", epochs}, {"rows", rows}};
}

}  // namespace nmlbench
