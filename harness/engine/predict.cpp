#include "engine/predict.h"

#include "engine/process.h"

#include <nmlbench/dense.h>

#include <algorithm>

#include <fmt/format.h>

namespace nmlbench {
namespace {

constexpr std::int64_t kPredictedRows = 512;  // in one prediction, unless memory wants fewer

void check_logits(const torch::Tensor& logits, const std::vector<std::int64_t>& expected) {
  if (!logits.defined() || logits.sizes() != torch::IntArrayRef(expected)) {
    throw Error(fmt::format("bug in the tuner plugin: predict() gave logits {}, expected [{}]",
                            logits.defined() ? c10::str(logits.sizes()) : "undefined", fmt::join(expected, ", ")));
  }
}

StackOutput predict_in_batches(Tuner& tuner, std::int64_t first_unit, const StackShape& shape,
                               const std::vector<torch::Tensor>& x, const torch::Tensor& wanted, std::int64_t batch,
                               const Context& context) {
  const torch::NoGradGuard no_grad;
  const std::int64_t n = x.front().size(0);
  const std::int64_t heads = static_cast<std::int64_t>(x.size()) * shape.heads_per_unit;
  std::vector<torch::Tensor> logits, features;
  for (std::int64_t begin = 0; begin < n; begin += batch) {
    context.check_stop();
    const std::int64_t end = std::min(begin + batch, n);
    std::vector<torch::Tensor> rows;
    for (const torch::Tensor& of_unit : x) rows.push_back(of_unit.slice(0, begin, end));
    const Prediction prediction = tuner.predict(torch::stack(rows).to(context.device), first_unit);
    check_logits(prediction.logits, {heads, end - begin, shape.classes});
    logits.push_back(prediction.logits.to(torch::kCPU, torch::kFloat32));
    if (!prediction.features.defined() || wanted.numel() == 0) continue;
    const torch::Tensor here = wanted.masked_select((wanted >= begin) & (wanted < end)) - begin;
    features.push_back(prediction.features.to(torch::kCPU, torch::kFloat32).index_select(1, here));
  }
  return {torch::cat(logits, 1), features.empty() ? torch::Tensor() : torch::cat(features, 1)};
}

}  // namespace

StackOutput predict_all(Tuner& tuner, std::int64_t first_unit, const StackShape& shape,
                        const std::vector<torch::Tensor>& x, const torch::Tensor& wanted, const Context& context) {
  StackOutput output;
  with_smaller_batches(kPredictedRows, "evaluating", "rows", [&](std::int64_t batch) {
    output = predict_in_batches(tuner, first_unit, shape, x, wanted, batch, context);
  });
  return output;
}

Bytes packed_probabilities(const torch::Tensor& logits) {
  const torch::Tensor log_p = torch::log_softmax(logits.to(torch::kCPU, torch::kFloat64), 1).to(torch::kFloat32);
  const torch::Tensor rows = log_p.contiguous();
  return pack_probabilities({dense_data<float>(rows), static_cast<std::size_t>(rows.numel())});
}

}  // namespace nmlbench
