// Datasets opened for tests.
#pragma once

#include "support/plugins.h"

#include <memory>

namespace nmlbench::testing {

struct OpenedDataset {
  std::unique_ptr<Dataset> dataset;
  SplitInfo info;

  OpenedDataset(const std::string& name, const Values& values)
      : dataset(make_dataset(plugin(PluginKind::dataset, name, values))), info(dataset->open()) {}

  torch::Tensor at(const std::vector<std::int64_t>& rows) const {
    return dataset->samples(torch::tensor(rows, torch::kInt64), torch::kCPU);
  }
  torch::Tensor all() const { return dataset->samples(torch::arange(info.size), torch::kCPU); }
  std::vector<std::int64_t> labels() const {
    const torch::Tensor y = dataset->labels();
    return {y.data_ptr<std::int64_t>(), y.data_ptr<std::int64_t>() + y.numel()};
  }
};

// What `work` says is wrong with the data.
template <typename Work>
std::string data_error(const Work& work) {
  try {
    work();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace nmlbench::testing
