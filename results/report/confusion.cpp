// What heads took each class for.
#include "results/report/figures.h"
#include "results/report/heat_map.h"
#include "results/store/database.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

namespace {

// Values of all matrices together: keeps the page small whatever the database holds.
constexpr std::size_t kValueBudget = 300'000;
constexpr std::size_t kSmallestSide = 10, kLargestSide = 50;

// Panel, series, task, kind, test set, noise rate, and the ratio that was asked for.
using MapKey = std::tuple<std::size_t, std::size_t, std::string, std::string, std::string, double, double>;

struct Counts {
  ClassMatrix samples;
  std::set<std::string> seeds;

  // `text`: JSON, [[label, predicted, samples], ...].
  void add(std::size_t classes, const std::string& text) {
    samples.resize(std::max(classes, samples.size()));
    for (auto& row : samples) row.resize(samples.size(), 0.0);
    for (const auto& [label, predicted, count] :
         Json::parse(text).get<std::vector<std::tuple<std::size_t, std::size_t, double>>>()) {
      samples.at(label).at(predicted) += count;
    }
  }
};

std::map<MapKey, Counts> summed_counts(const Store& store, const Axes& axes) {
  const auto keys = static_cast<int>(axes.columns().size());
  SQLite::Statement statement(store.impl().db,
                              fmt::format("SELECT v.{}", fmt::join(axes.columns(), ", v.")) +
                                  ", c.task, ts.test_kind, k.test_set, c.seed, k.classes, k.counts FROM confusion k"
                                  " JOIN cells c USING (cell) JOIN v_cells v USING (cell_id)"
                                  " JOIN test_sets ts ON ts.task = c.task AND ts.test_set = k.test_set"
                                  " WHERE c.status = 'done' AND NOT c.superseded");
  std::map<MapKey, Counts> maps;
  while (statement.executeStep()) {
    const auto text = [&](int i) { return statement.getColumn(i).getString(); };
    std::vector<std::string> key;
    for (int i = 0; i < keys; ++i) key.push_back(text(i));
    const auto place = axes.place(key);
    if (!place || !axes.is_full_fraction(*place) || !axes.is_outstanding(*place)) continue;
    Counts& counts = maps[{place->panel, place->series, text(keys), text(keys + 1), text(keys + 2), place->noise_rate,
                           place->noise_ratio}];
    counts.seeds.insert(text(keys + 3));
    counts.add(static_cast<std::size_t>(statement.getColumn(keys + 4).getInt64()), text(keys + 5));
  }
  return maps;
}

}  // namespace

Json confusion_figure(const Store& store, const Axes& axes) {
  const auto maps = summed_counts(store, axes);
  const auto affordable = static_cast<std::size_t>(
      std::sqrt(static_cast<double>(kValueBudget) / static_cast<double>(std::max<std::size_t>(1, maps.size()))));
  const std::size_t side = std::clamp(affordable, kSmallestSide, kLargestSide);
  Json list = Json::array();
  for (const auto& [key, counts] : maps) {
    const auto& [panel, series, task, kind, test_set, rate, ratio] = key;
    const std::size_t classes = counts.samples.size(), block = (classes + side - 1) / side;
    list.push_back({{"panel", panel},
                    {"series", series},
                    {"task", task},
                    {"test_set", test_set},
                    {"noise_rate", rate},
                    {"seeds", counts.seeds.size()},
                    {"classes", classes},
                    {"block", block},
                    {"rows", row_shares(coarsened(counts.samples, block))}});
  }
  return list;
}

}  // namespace nmlbench
