// [[task]] noise: what may change the labels that heads train on.
#pragma once

#include "plan/inspector.h"
#include "plan/plan.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nmlbench {

class TaskNoiseTable {
 public:
  // Fills `plan.task_noises`, each once.
  TaskNoiseTable(const Catalog& catalog, const Inspector& inspector, Plan& plan)
      : catalog_(catalog), inspector_(inspector), plan_(plan) {}

  // Task::noises: the product over the axes of the models of the list, the last one fastest. Combinations that change
  // nothing are one, without noise, whatever the model is called. Throws ConfigError for models that change anything
  // but labels and which samples there are.
  std::vector<std::optional<std::size_t>> axis(const TaskSpec& spec);

  // What a noise adds to the identity of a cell; content digests only with `content`.
  void add_parts(std::size_t noise, bool content, std::vector<std::string>& parts) const;

 private:
  std::vector<NoiseStep> steps(const NoiseSpec& spec) const;
  std::size_t add(std::vector<NoiseStep> noise);

  const Catalog& catalog_;
  const Inspector& inspector_;
  Plan& plan_;
  std::map<std::vector<std::string>, std::size_t> known_;  // by add_parts() with content
  std::map<std::string, std::size_t> of_name_;             // by what results call it
};

}  // namespace nmlbench
