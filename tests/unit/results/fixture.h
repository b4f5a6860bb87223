// A folder of its own for each test, and records to fill databases with.
#pragma once

#include "results/store/store.h"

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace nmlbench {

class ResultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / fmt::format("nmlbench_results_{}_{}", getpid(), test->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file(const std::string& name) const { return folder_ / name; }

  std::filesystem::path folder_;
};

inline RunRecord run_record(const std::string& matrix = "quick") {
  return {matrix, R"({"matrix":"quick"})", "nmlbench run", "abc123", R"({"nmlbench":"0.1.0"})", "host", "cpu", "", 2};
}

struct CellSpec {
  std::string tuner = "linear-probe";
  std::string task = "shapes";
  std::int64_t seed = 0;
  double ratio = 0.1;
  std::string tuner_params = "{}";
  std::string matrix = "quick";
  std::string encoder = "resnet-tiny";
};

// A cell with one row for each (test set, kind, accuracy); done.
inline CellRecord cell_record(const CellSpec& spec, const std::vector<MetricRow>& metrics) {
  CellRecord cell;
  cell.coordinates = fmt::format(R"(["{}","{}","{}",{},{},{}])", spec.encoder, spec.tuner, spec.task, spec.seed,
                                 spec.ratio, spec.tuner_params);
  cell.cell_id = "id:" + cell.coordinates;
  cell.matrix = spec.matrix;
  cell.encoder = spec.encoder;
  cell.encoder_params = "{}";
  cell.pretrain_dataset = "procedural";
  cell.noise = "symmetric";
  cell.noise_ratio = spec.ratio;
  cell.checkpoint_id = fmt::format("checkpoint-{}-{}", spec.ratio, spec.seed);
  cell.task = spec.task;
  cell.tuner = spec.tuner;
  cell.tuner_params = spec.tuner_params;
  cell.seed = spec.seed;
  cell.status = "done";
  cell.device = "cpu";
  cell.metrics = metrics;
  return cell;
}

inline CellRecord failed_cell(const CellSpec& spec, const std::string& message) {
  CellRecord cell = cell_record(spec, {});
  cell.status = "failed";
  cell.message = message;
  return cell;
}

inline MetricRow accuracy(const std::string& test_set, const std::string& kind, double value) {
  return {test_set, kind, "accuracy", value};
}

// The message of the nmlbench::Error that `work` throws; "" when it throws none.
template <typename Work>
std::string error_of(Work&& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace nmlbench
