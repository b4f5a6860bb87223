#include "human.h"

#include "tables.h"

namespace nmlbench::plugins {
namespace {

std::int64_t row_of(const NoiseInput& input, const torch::Tensor& bad) {
  const auto sample = bad.nonzero()[0][0].item<std::int64_t>();
  return input.rows.defined() ? input.rows[sample].item<std::int64_t>() : sample;
}

}  // namespace

torch::Tensor HumanLabels::read(const std::string& column, const NoiseInput& input) const {
  const torch::Tensor all = read_column(file_, column);
  const std::int64_t n = input.targets.size(0);
  check_length(file_, "labels", all.size(0), input.full_size > 0 ? input.full_size : n);
  const torch::Tensor labels = input.rows.defined() ? all.index_select(0, input.rows) : all;
  const torch::Tensor bad = (labels < 0) | (labels >= input.classes);
  if (bad.any().item<bool>()) {
    const std::int64_t row = row_of(input, bad);
    throw DataError(file_.string() + ": row " + std::to_string(row) + " has label " +
                    std::to_string(all[row].item<std::int64_t>()) + ", outside [0, " + std::to_string(input.classes) +
                    ")");
  }
  return labels;
}

NoiseOutput HumanLabels::corrupt(const NoiseInput& input, const Stream&) {
  if (!clean_column_.empty()) {
    const torch::Tensor bad = read(clean_column_, input) != input.targets;
    if (bad.any().item<bool>()) {
      throw DataError(file_.string() + ": column \"" + clean_column_ + "\" differs from the data's labels in " +
                      std::to_string(bad.sum().item<std::int64_t>()) + " of " + std::to_string(bad.size(0)) +
                      " samples, first in row " + std::to_string(row_of(input, bad)) +
                      "; the file is for another set or another order");
    }
  }
  return read(column_, input);
}

}  // namespace nmlbench::plugins
