// Transition matrices of the label noise, averaged over the checkpoints that share a noise model and a ratio.
#include "results/report/figures.h"
#include "results/report/heat_map.h"
#include "results/store/database.h"

#include <algorithm>
#include <tuple>

#include <SQLiteCpp/Statement.h>

namespace nmlbench {

namespace {

constexpr std::size_t kLargestMap = 50;  // classes on a side

// Empty when the text is no square matrix of numbers.
ClassMatrix parse_matrix(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array()) return {};
  ClassMatrix matrix;
  for (const Json& row : json) {
    if (!row.is_array() || row.size() != json.size()) return {};
    std::vector<double>& values = matrix.emplace_back();
    for (const Json& value : row) {
      if (!value.is_number()) return {};
      values.push_back(value.get<double>());
    }
  }
  return matrix;
}

struct Group {
  ClassMatrix sum;
  double realised = 0.0;
  std::size_t checkpoints = 0;
};

}  // namespace

Json transition_figure(const Store& store) {
  SQLite::Statement statement(store.impl().db,
                              "SELECT pretrain_dataset, noise, noise_ratio, realised_rate, transition FROM noise"
                              " WHERE transition IS NOT NULL AND realised_rate > 0");
  std::map<std::tuple<std::string, std::string, double, std::size_t>, Group> groups;
  while (statement.executeStep()) {
    const ClassMatrix matrix = parse_matrix(statement.getColumn(4).getString());
    if (matrix.empty()) continue;
    Group& group = groups[{statement.getColumn(0).getString(), statement.getColumn(1).getString(),
                           statement.getColumn(2).getDouble(), matrix.size()}];
    group.sum.resize(matrix.size(), std::vector<double>(matrix.size(), 0.0));
    for (std::size_t i = 0; i < matrix.size(); ++i) {
      for (std::size_t j = 0; j < matrix.size(); ++j) group.sum[i][j] += matrix[i][j];
    }
    group.realised += statement.getColumn(3).getDouble();
    ++group.checkpoints;
  }
  Json list = Json::array();
  for (const auto& [key, group] : groups) {
    const auto& [dataset, noise, ratio, classes] = key;
    const std::size_t block = (classes + kLargestMap - 1) / kLargestMap;
    list.push_back({{"dataset", dataset},
                    {"noise", noise},
                    {"noise_ratio", ratio},
                    {"realised", rounded(group.realised / static_cast<double>(group.checkpoints))},
                    {"checkpoints", group.checkpoints},
                    {"classes", classes},
                    {"block", block},
                    {"rows", row_shares(coarsened(group.sum, block))}});
  }
  return list;
}

}  // namespace nmlbench
