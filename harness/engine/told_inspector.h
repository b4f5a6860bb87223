// Two processes that plan one matrix: the first one asks the plugins and notes the answers, the other one is told.
#pragma once

#include "plan/plan.h"

#include <functional>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

namespace nmlbench {

// Question -> answer.
using Answers = std::map<std::string, nlohmann::json>;

// Passes questions on and notes what came back.
class NotingInspector : public Inspector {
 public:
  NotingInspector(const Inspector& inner, Answers& answers) : inner_(inner), answers_(answers) {}
  SplitFacts split(const ResolvedPlugin& dataset) const override;
  std::optional<bool> trainable(const ResolvedPlugin& encoder) const override;
  std::optional<InputSpec> input(const ResolvedPlugin& encoder) const override;
  std::optional<std::int64_t> feature_dim(const ResolvedPlugin& encoder, const SplitInfo& samples) const override;
  std::optional<NoiseFacts> noise(const ResolvedPlugin& model) const override;
  std::string files(const ResolvedPlugin& plugin) const override;

 private:
  const Inspector& inner_;
  Answers& answers_;
};

// Answers from notes; asked anything else, it throws Error: the matrix is not the same any longer.
class ToldInspector : public Inspector {
 public:
  explicit ToldInspector(const Answers& answers) : answers_(answers) {}
  SplitFacts split(const ResolvedPlugin& dataset) const override;
  std::optional<bool> trainable(const ResolvedPlugin& encoder) const override;
  std::optional<InputSpec> input(const ResolvedPlugin& encoder) const override;
  std::optional<std::int64_t> feature_dim(const ResolvedPlugin& encoder, const SplitInfo& samples) const override;
  std::optional<NoiseFacts> noise(const ResolvedPlugin& model) const override;
  std::string files(const ResolvedPlugin& plugin) const override;

 private:
  const nlohmann::json& answer(const std::string& question, const ResolvedPlugin& plugin) const;
  const Answers& answers_;
};

// Equal for equal plans.
std::string digest_of_cells(const Plan& plan);

}  // namespace nmlbench
