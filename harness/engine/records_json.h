// Records as JSON, for the pipe between the program and its worker processes. In CBOR, numbers keep all their bits, NaN
// and infinities included.
#pragma once

#include "engine/checkpoint_job.h"
#include "engine/fine_tune_job.h"
#include "engine/stacks.h"
#include "engine/tune.h"
#include "plan/inspector.h"
#include "records/columns.h"

#include <optional>
#include <variant>

#include <nlohmann/json.hpp>

namespace nlohmann {

template <typename T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) { out = value ? json(*value) : json(); }
  static void from_json(const json& in, std::optional<T>& value) {
    value = in.is_null() ? std::optional<T>() : in.get<T>();
  }
};

// With the index of the type: 1 and 1.0 are different values.
template <>
struct adl_serializer<nmlbench::ParamValue> {
  static void to_json(json& out, const nmlbench::ParamValue& value) {
    out = std::visit([&](const auto& v) { return json{value.index(), v}; }, value);
  }
  static void from_json(const json& in, nmlbench::ParamValue& value) { read<0>(in, value); }

 private:
  template <std::size_t I>
  static void read(const json& in, nmlbench::ParamValue& value) {
    if (in.at(0).get<std::size_t>() == I) {
      value = in.at(1).get<std::variant_alternative_t<I, nmlbench::ParamValue>>();
    } else if constexpr (I + 1 < std::variant_size_v<nmlbench::ParamValue>) {
      read<I + 1>(in, value);
    }
  }
};

}  // namespace nlohmann

namespace nmlbench {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Preprocessing, resize, crop_pct, interpolation)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(InputSpec, native, channels, height, width, mean, std, preprocessing)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NoiseFacts, corrupts_pairs, replaces_samples)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TaskLabels, labels, kept)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Failure, message, transient)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MetricRow, test_set, test_kind, metric, value)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SpectrumRow, test_set, space, center, rows, values)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ConfusionRow, test_set, classes, counts)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CandidateRow, candidate, params, status, message, chosen, accuracy, loss)

inline void to_json(nlohmann::json& out, const PredictionRow& row) {
  out = {{"test_set", row.test_set},
         {"samples_digest", row.samples_digest},
         {"samples", row.samples},
         {"classes", row.classes},
         {"labels", nlohmann::json::binary(*row.labels)},
         {"packed", nlohmann::json::binary(row.packed)}};
}
inline void from_json(const nlohmann::json& in, PredictionRow& row) {
  in.at("test_set").get_to(row.test_set);
  in.at("samples_digest").get_to(row.samples_digest);
  in.at("samples").get_to(row.samples);
  in.at("classes").get_to(row.classes);
  row.labels = std::make_shared<const Bytes>(in.at("labels").get_binary());
  row.packed = in.at("packed").get_binary();
}

inline void to_json(nlohmann::json& out, const CellRecord& cell) {
  out = {{"metrics", cell.metrics},
         {"spectra", cell.spectra},
         {"confusion", cell.confusion},
         {"predictions", cell.predictions},
         {"probabilities", cell.probabilities},
         {"loss_curve", cell.loss_curve},
         {"candidates", cell.candidates}};
  for (const CellColumn& column : kCellColumns) {
    visit_member(column, cell, [&](const auto& value) { out[std::string(column.name)] = value; });
  }
}
inline void from_json(const nlohmann::json& in, CellRecord& cell) {
  in.at("metrics").get_to(cell.metrics);
  in.at("spectra").get_to(cell.spectra);
  in.at("confusion").get_to(cell.confusion);
  in.at("predictions").get_to(cell.predictions);
  in.at("probabilities").get_to(cell.probabilities);
  in.at("loss_curve").get_to(cell.loss_curve);
  in.at("candidates").get_to(cell.candidates);
  for (const CellColumn& column : kCellColumns) {
    visit_member(column, cell, [&](auto& value) { in.at(std::string(column.name)).get_to(value); });
  }
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StageRecord, stage, encoder, tuner, task, device, items, unit, seconds, peak_bytes,
                                   batch, encoder_params, recipe, tuner_params, cache_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EpochReport, checkpoint, name, epoch, epochs, loss)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NoiseRecord, checkpoint_id, encoder, pretrain_dataset, noise, noise_ratio, seed,
                                   realised_rate, transition_json, stated, validation, validation_id, upstream_samples,
                                   upstream_accuracy)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Unit, train, cells)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Stack, units)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HeadShape, dim, classes, tokens)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StackTiming, head_steps, fit_seconds, samples, evaluate_seconds, heads, peak_bytes)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StackResult, cells, timing)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CheckpointJob, checkpoint, encodings, validate)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(CheckpointJobResult, stages, noise, errors)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FineTuneJob, cells)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FineTuneResult, cells, stages)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SplitInfo, size, full_size, classes, kind, sample_shape, domain, class_names,
                                   training_classes, right_classes, sets, metrics, scores, fits_in_memory)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(SplitFacts, digest, info, only_label, error)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Location, source, line, column, key)

}  // namespace nmlbench
