// Labels that people gave.
#pragma once

#include <nmlbench/noise.h>
#include <nmlbench/params.h>

namespace nmlbench::plugins {

// The labels of a file, one for each sample of the set in its order: CIFAR-10N and CIFAR-100N (Wei et al., ICLR 2022,
// arXiv 2110.12088), or any .npy or .csv. With `clean_column` the file proves its order: those labels must equal the
// data's own, sample by sample.
class HumanLabels : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {
      path("labels", nullptr,
           "integers, one row for each sample of the set: .npy [N] or [N, columns], .csv, .txt, or .gz"),
      text("column", "", "name in the header, or number from 0; \"\" when there is one column"),
      text("clean_column", "", "the column that must equal the data's own labels; \"\" checks nothing").resource(),
  };

  explicit HumanLabels(const Params& params)
      : file_(params.path("labels")), column_(params.text("column")), clean_column_(params.text("clean_column")) {}

  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override;
  bool draws_nothing() const override { return true; }

 private:
  torch::Tensor read(const std::string& column, const NoiseInput& input) const;  // int64 [N]

  std::filesystem::path file_;
  std::string column_;
  std::string clean_column_;
};

}  // namespace nmlbench::plugins
