// Paths that name where a checkpoint stands: "feat/{encoder}_n{noise_ratio}_s{seed}_train.npy".
#pragma once

#include "plan/plan.h"

#include <string_view>

namespace nmlbench {

// Whether a parameter of `ref` names a coordinate: {encoder}, {dataset}, {noise}, {noise_ratio}, {noise_percent} or
// {seed}, each perhaps with a format of fmt's, {noise_ratio:.2f}.
bool names_coordinates(const PluginRef& ref);
bool names_coordinate(const PluginRef& ref, std::string_view coordinate);
// The same of any data of a task.
bool names_coordinates(const TaskSpec& task);
bool names_coordinate(const TaskSpec& task, std::string_view coordinate);

// `ref` with the checkpoint's coordinates in their places; "{{" stands for a brace. Throws ConfigError for a name that
// is none of them, or that is not known of the checkpoint.
PluginRef at_coordinates(const PluginRef& ref, const Checkpoint& checkpoint);

}  // namespace nmlbench
