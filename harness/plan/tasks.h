// [[task]]: training split, test sets, and what can be wrong with them.
#pragma once

#include "plan/inspector.h"
#include "plan/plan.h"
#include "plan/preprocessing.h"
#include "plan/split_table.h"

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace nmlbench {

class TaskMaker {
 public:
  // Fills `plan.tasks`; checkpoints and splits are those of `plan`.
  TaskMaker(const MatrixSpec& spec, const Inspector& inspector, SplitTable& splits, PreprocessingTable& preprocessing,
            Plan& plan)
      : spec_(spec), inspector_(inspector), splits_(splits), preprocessing_(preprocessing), plan_(plan) {}

  // Which of Plan::tasks MatrixSpec::tasks[spec] is under a checkpoint of the plan. Throws ConfigError when its paths
  // name what is not known of the checkpoint, and when levels of noise that are stated have the same features.
  std::size_t at(std::size_t spec, std::size_t checkpoint);

 private:
  std::size_t shared(std::size_t spec, const Checkpoint& checkpoint);
  std::size_t add(std::size_t spec, const Checkpoint& checkpoint);
  void add_views(const TaskSpec& spec, Task& task) const;
  void add_tests(const TaskSpec& spec, const Checkpoint& checkpoint, Task& task);
  std::size_t split_of(const PluginRef& data, const TaskSpec& spec, const Checkpoint& checkpoint);
  const std::string& params_of(const TaskSpec& spec, const Task& task);
  // A checkpoint with noise that is stated, and the digest of the features that heads are trained on.
  struct Owner {
    std::size_t checkpoint = 0;
    std::string trained_on;
  };
  void reject_features_of_two(std::size_t task, std::size_t checkpoint);
  Owner first_owner(std::size_t task, const std::string& part, const Split& split, const Owner& own);
  bool are_one_clean(std::size_t a, std::size_t b) const;
  [[noreturn]] void reject_features(std::size_t task, const Split& split, const std::string& what, std::size_t before,
                                    std::size_t checkpoint) const;

  const MatrixSpec& spec_;
  const Inspector& inspector_;
  SplitTable& splits_;
  PreprocessingTable& preprocessing_;
  Plan& plan_;
  std::map<std::pair<std::size_t, std::string>, std::size_t> shared_;  // by spec and what the encoder adds to its data
  // Task::params by spec and names of the test sets: the same under all checkpoints whose coordinates paths name
  std::map<std::vector<std::string>, std::string> params_;
  // task's spec, "" or the name of a test set, encoder and the files of its weights, digest of the features
  std::map<std::tuple<std::size_t, std::string, std::string, std::string, std::string>, Owner> stated_of_features_;
};

}  // namespace nmlbench
