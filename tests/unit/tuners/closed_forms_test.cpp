// `logistic`, `ridge`, `knn` and `ncm` against scikit-learn and NumPy (tests/golden/closed_forms.py).
#include "support/scratch.h"
#include "support/tuning.h"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace nmlbench {
namespace {

using nlohmann::json;
using torch::Tensor;

Tensor matrix(const json& rows) {
  std::vector<double> numbers;
  for (const json& row : rows) {
    for (const json& number : row) numbers.push_back(number.get<double>());
  }
  return torch::tensor(numbers, torch::kFloat64).view({static_cast<std::int64_t>(rows.size()), -1});
}

struct Fitted {
  Tensor logits;  // float64 [B, C], on the problem's test rows
  Tensor loss;    // float32 [E]
};

class ClosedForms : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string file = testing::read_text(NMLBENCH_SOURCE_DIR "/tests/golden/closed_forms.json");
    golden_ = json::parse(file).at(GetParam());
  }

  // All heads in one stack; they differ in per-head parameters.
  std::vector<Fitted> fit(const std::string& tuner, const std::vector<testing::Values>& heads) const {
    const auto g = static_cast<std::int64_t>(heads.size()), classes = golden_.at("classes").get<std::int64_t>();
    const testing::Blobs rows{matrix(golden_.at("x")).to(torch::kFloat32),
                              torch::tensor(golden_.at("y").get<std::vector<std::int64_t>>())};
    std::vector<HeadSpec> specs;
    for (const testing::Values& values : heads) {
      specs.push_back({testing::plugin(PluginKind::tuner, tuner, values).params, Stream(0)});
    }
    const auto made = make_tuner(testing::plugin(PluginKind::tuner, tuner, heads.front()));
    made->init({1, g, rows.x.size(1), classes}, specs, torch::kCPU);
    const FitReport report = made->fit(testing::rows_of({rows}, g, classes), Context{});
    const Tensor test = matrix(golden_.at("test")).to(torch::kFloat32).unsqueeze(0);
    const Tensor logits = made->predict(test, 0).logits.to(torch::kFloat64);
    std::vector<Fitted> fitted;
    for (std::int64_t h = 0; h < g; ++h) fitted.push_back({logits[h], report.loss.select(1, h)});
    return fitted;
  }

  json golden_;
};

INSTANTIATE_TEST_SUITE_P(Problems, ClosedForms, ::testing::Values("tall", "wide"),
                         [](const auto& info) { return info.param; });

double largest_difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST_P(ClosedForms, LogisticIsScikitLearns) {
  for (const char* type : {"float64", "float32"}) {
    const bool wide = std::string(type) == "float64";
    std::vector<testing::Values> heads;
    for (const json& expected : golden_.at("logistic")) {
      heads.push_back(
          {{"C", expected.at("C").get<double>()}, {"dtype", std::string(type)}, {"tolerance", wide ? 1e-8 : 1e-5}});
    }
    const std::vector<Fitted> fitted = fit("logistic", heads);
    for (std::size_t h = 0; h < heads.size(); ++h) {
      const json& expected = golden_.at("logistic")[h];
      SCOPED_TRACE(std::string(type) + ", C = " + expected.at("C").dump());
      EXPECT_NEAR(fitted[h].loss.item<double>(), expected.at("loss").get<double>(), wide ? 1e-6 : 1e-4);
      if (!wide) continue;
      const Tensor centred = fitted[h].logits - fitted[h].logits.mean(1, /*keepdim=*/true);
      EXPECT_LT(largest_difference(centred, matrix(expected.at("logits"))), 2e-3);
    }
  }
}

TEST_P(ClosedForms, RidgeIsScikitLearns) {
  const json& chosen = golden_.at("ridge").at(0);
  std::vector<Value> lambdas;
  for (const json& lambda : chosen.at("lambdas")) lambdas.emplace_back().data = lambda.get<double>();
  const Fitted by_loo = fit("ridge", {{{"choose", std::string("loo")}, {"lambdas", lambdas}}}).front();
  EXPECT_LT(largest_difference(by_loo.logits, matrix(chosen.at("logits"))), 1e-5);

  std::vector<testing::Values> heads;
  for (std::size_t h = 1; h < golden_.at("ridge").size(); ++h) {
    heads.push_back({{"lambda", golden_.at("ridge")[h].at("lambda").get<double>()}});
  }
  const std::vector<Fitted> given = fit("ridge", heads);
  for (std::size_t h = 0; h < heads.size(); ++h) {
    EXPECT_LT(largest_difference(given[h].logits, matrix(golden_.at("ridge")[h + 1].at("logits"))), 1e-5) << h;
  }
}

// (k p + smoothing / C) / (k + smoothing) of scikit-learn's p.
TEST_P(ClosedForms, NeighboursVoteAsInScikitLearn) {
  std::vector<testing::Values> heads;
  for (const json& expected : golden_.at("knn")) {
    heads.push_back({{"k", expected.at("k").get<std::int64_t>()},
                     {"temperature", expected.at("temperature").get<double>()},
                     {"smoothing", 0.25}});
  }
  const std::vector<Fitted> fitted = fit("knn", heads);
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const json& expected = golden_.at("knn")[h];
    const double k = expected.at("k").get<double>(), classes = golden_.at("classes").get<double>();
    const Tensor p = (matrix(expected.at("shares")) * k + 0.25 / classes) / (k + 0.25);
    EXPECT_LT(largest_difference(fitted[h].logits.exp(), p), 1e-5) << h;
    EXPECT_EQ(fitted[h].loss.numel(), 0) << "each row is its own neighbour";
  }
}

TEST_P(ClosedForms, TheNearestClassMeanIsScikitLearns) {
  for (const json& expected : golden_.at("ncm")) {
    const Fitted fitted = fit("ncm", {{{"metric", expected.at("metric").get<std::string>()}}}).front();
    const Tensor predicted = torch::tensor(expected.at("predicted").get<std::vector<std::int64_t>>());
    EXPECT_TRUE(torch::equal(fitted.logits.argmax(1), predicted)) << expected.at("metric");
  }
}

}  // namespace
}  // namespace nmlbench
