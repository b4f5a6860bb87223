// How far noise in pre-training turned the leading directions of an encoder's features (docs/PROTOCOL.md,
// "Feature-space analysis"): those of a noisy checkpoint against its clean twin's, of the same samples.
#pragma once

#include "cache/artifacts.h"
#include "engine/encodings.h"
#include "engine/hooks.h"
#include "plan/plan.h"

#include <nmlbench/torch.h>

#include <cstddef>
#include <optional>
#include <set>

namespace nmlbench {

// An orthonormal basis of the k leading left singular vectors of features [N, D] whose rows are L2-normalised and whose
// columns are centred: the directions among samples along which the features differ most. float64 [N, k]; fewer columns
// where the features have a lower rank.
torch::Tensor leading_directions(const torch::Tensor& features, std::int64_t k);
// Mean principal angle (Björck & Golub 1973) between the spans of two orthonormal bases [N, k], in degrees: 0 for equal
// spans, 90 for orthogonal ones.
double mean_principal_angle(const torch::Tensor& a, const torch::Tensor& b);

// The checkpoint that differs from a noisy one in that its noise is none, if the plan has it.
std::optional<std::size_t> clean_twin(const Plan& plan, std::size_t checkpoint);

// Of every noisy checkpoint and test set of the plan's cells whose features, and those of the clean twin, the cache
// has; each once, by the cache's notes. The encodings that it lacks for the others.
std::set<std::size_t> measure_alignments(const Plan& plan, const EngineOptions& options, ArtifactCache& cache,
                                         ResultSink& sink);

}  // namespace nmlbench
