#include "results/report/heat_map.h"

#include "results/report/figures.h"

#include <numeric>

namespace nmlbench {

ClassMatrix coarsened(const ClassMatrix& matrix, std::size_t block) {
  const std::size_t size = (matrix.size() + block - 1) / block;
  ClassMatrix sums(size, std::vector<double>(size, 0.0));
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    for (std::size_t j = 0; j < matrix.size(); ++j) sums[i / block][j / block] += matrix[i][j];
  }
  return sums;
}

Json row_shares(const ClassMatrix& matrix) {
  Json rows = Json::array();
  for (const auto& values : matrix) {
    const double total = std::accumulate(values.begin(), values.end(), 0.0);
    Json& row = rows.emplace_back(Json::array());
    for (const double value : values) row.push_back(value == 0.0 ? Json(0) : rounded(value / total, 3));
  }
  return rows;
}

}  // namespace nmlbench
