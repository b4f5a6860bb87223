// Transition matrices of the label noise, averaged over the checkpoints that share a noise model and a ratio.
#include "results/report/figures.h"
#include "results/store/database.h"

#include <algorithm>
#include <tuple>

#include <SQLiteCpp/Statement.h>

namespace nmlbench {

namespace {

constexpr std::size_t kLargestMap = 50;  // classes on a side

using Matrix = std::vector<std::vector<double>>;

// Empty when the text is no square matrix of numbers.
Matrix parse_matrix(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array()) return {};
  Matrix matrix;
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
  Matrix sum;
  double realised = 0.0;
  std::size_t checkpoints = 0;
};

// Blocks of neighbouring classes: the mean over a block's rows of the chance to land in a block of columns, so that
// rows still add up to one.
Matrix coarsened(const Matrix& matrix, std::size_t block) {
  const std::size_t size = (matrix.size() + block - 1) / block;
  Matrix result(size, std::vector<double>(size, 0.0));
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    const std::size_t rows = std::min(block, matrix.size() - i / block * block);
    for (std::size_t j = 0; j < matrix.size(); ++j) {
      result[i / block][j / block] += matrix[i][j] / static_cast<double>(rows);
    }
  }
  return result;
}

Json to_json(const Matrix& matrix, std::size_t checkpoints) {
  Json rows = Json::array();
  for (const auto& values : matrix) {
    Json& row = rows.emplace_back(Json::array());
    for (const double value : values) row.push_back(rounded(value / static_cast<double>(checkpoints), 3));
  }
  return rows;
}

}  // namespace

Json transition_figure(const Store& store) {
  SQLite::Statement statement(store.impl().db,
                              "SELECT pretrain_dataset, noise, noise_ratio, realised_rate, transition FROM noise"
                              " WHERE transition IS NOT NULL AND realised_rate > 0");
  std::map<std::tuple<std::string, std::string, double, std::size_t>, Group> groups;
  while (statement.executeStep()) {
    const Matrix matrix = parse_matrix(statement.getColumn(4).getString());
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
                    {"rows", to_json(coarsened(group.sum, block), group.checkpoints)}});
  }
  return list;
}

}  // namespace nmlbench
