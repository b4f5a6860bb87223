#include "cli/rate_match.h"

#include "registry/registry.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench::cli {
namespace {

using nlohmann::json;

// What of a recipe, or of a tuner's settings, makes no step slower.
json without_length(const std::string& text) {
  json settings = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!settings.is_object()) return settings;
  for (const char* key : {"epochs", "lr", "schedule", "warmup", "weight_decay", "momentum", "label_smoothing"})
    settings.erase(key);
  return settings;
}

// "batch_size 32 for 2048, precision fp32 for bf16"; of a grid each candidate is like what is wanted.
std::string differences(const json& measured, const json& wanted) {
  std::vector<std::string> all;
  if (!measured.is_object() || !wanted.is_object()) return "";
  for (auto it = wanted.begin(); it != wanted.end(); ++it) {
    const json has = measured.value(it.key(), json());
    const bool is_candidate = has.is_array() && std::find(has.begin(), has.end(), it.value()) != has.end();
    if (has != it.value() && !is_candidate)
      all.push_back(fmt::format("{} {} for {}", it.key(), has.dump(), it.value().dump()));
  }
  return fmt::format("{}", fmt::join(all, ", "));
}

// Where a rate may come from, from like to unlike.
struct Level {
  std::string how;
  std::function<bool(const MeasuredRate&)> fits;
  std::function<double(const MeasuredRate&)> scale = [](const MeasuredRate&) { return 1.0; };
  std::function<std::string(const MeasuredRate&)> differs = [](const MeasuredRate&) { return std::string(); };
};

class RateMatch {
 public:
  RateMatch(const Plan& plan, const std::vector<MeasuredRate>& rates) : plan_(plan), rates_(rates) {}

  StageEstimate of(const StageDemand& demand) const {
    StageEstimate result = described(demand);
    for (const Level& level : levels(demand)) {
      if (take(level, demand, result)) return result;
    }
    const bool is_measured = demand.kind != DemandKind::upstream && demand.kind != DemandKind::alignment;
    result.level = is_measured ? "no rate: nothing like it was timed" : "no rate: runs do not time it";
    return result;
  }

 private:
  StageEstimate described(const StageDemand& demand) const {
    StageEstimate result;
    result.items = demand.items;
    result.unit = demand.unit;
    result.threads = std::max(1, demand.threads);
    result.parts = demand.parts;
    const auto named = [&](const char* stage, std::string name, const char* parts) {
      result.stage = stage;
      result.name = std::move(name);
      result.parts_name = parts;
    };
    const bool of_heads = demand.kind == DemandKind::fit_heads || demand.kind == DemandKind::test_heads;
    if (of_heads) result.shape = fmt::format(", {} features, {} classes", demand.dim, demand.classes);
    const std::string heads = demand.tuner ? plan_.tuners[*demand.tuner].name : "";
    const std::string moved = demand.tuner ? fmt::format("{} of {}", heads, demand.encoder) : "";
    switch (demand.kind) {
      case DemandKind::pretrain:
        named("pre-train", demand.encoder, "checkpoints");
        break;
      case DemandKind::encode:
        named("encode", demand.encoder, "passes");
        break;
      case DemandKind::upstream:
        named("upstream", demand.encoder, "checkpoints");
        break;
      case DemandKind::fit_heads:
        named("tune", heads, "heads");
        break;
      case DemandKind::test_heads:
        named("evaluate", heads, "heads");
        break;
      case DemandKind::fit_encoder:
        named("fine-tune", moved, "fits");
        break;
      case DemandKind::test_encoder:
        named("evaluate", moved, "fits");
        break;
      case DemandKind::alignment:
        named("compare", "encoders with clean twins", "sets of features");
        break;
    }
    return result;
  }

  std::vector<Level> levels(const StageDemand& demand) const {
    switch (demand.kind) {
      case DemandKind::pretrain:
        return levels_of_training(demand);
      case DemandKind::encode:
        return levels_of_encoding(demand);
      case DemandKind::fit_heads:
      case DemandKind::test_heads:
        return levels_of_heads(demand);
      case DemandKind::fit_encoder:
      case DemandKind::test_encoder:
        return levels_of_fits(demand);
      default:
        return {};
    }
  }

  std::vector<Level> levels_of_training(const StageDemand& demand) const {
    const auto same = [&demand](const MeasuredRate& rate) {
      return rate.stage == "pretrain" && rate.encoder == demand.encoder &&
             rate.encoder_params == demand.encoder_params && rate.unit == demand.unit;
    };
    const json wanted = without_length(demand.recipe);
    Level exact{"same encoder and recipe",
                [=](const MeasuredRate& rate) { return same(rate) && without_length(rate.recipe) == wanted; }};
    Level other{"same encoder, other recipe", same};
    other.differs = [wanted](const MeasuredRate& rate) { return differences(without_length(rate.recipe), wanted); };
    return {exact, other};
  }

  std::vector<Level> levels_of_encoding(const StageDemand& demand) const {
    const auto same = [&demand](const MeasuredRate& rate) {
      return rate.stage == "encode" && rate.encoder == demand.encoder && rate.encoder_params == demand.encoder_params &&
             rate.unit == demand.unit;
    };
    const json wanted = {{"precision", json::parse(plan_.protocol).value("encode", "")}, {"threads", demand.threads}};
    const auto settings = [](const MeasuredRate& rate) {
      return json{{"precision", rate.precision}, {"threads", threads_of_recipe(rate.recipe)}};
    };
    Level exact{"same encoder and precision",
                [=](const MeasuredRate& rate) { return same(rate) && settings(rate) == wanted; }};
    Level other{"same encoder, otherwise", same};
    other.differs = [=](const MeasuredRate& rate) { return differences(settings(rate), wanted); };
    return {exact, other};
  }

  std::vector<Level> levels_of_heads(const StageDemand& demand) const {
    const ResolvedPlugin& tuner = plan_.tuners[*demand.tuner];
    const bool fits = demand.kind == DemandKind::fit_heads;
    const json wanted = without_length(tuner.stack_key);
    const auto same_tuner = [&demand, &tuner, fits](const MeasuredRate& rate) {
      return rate.stage == (fits ? "tune" : "evaluate") && rate.tuner == tuner.name && rate.unit == demand.unit;
    };
    // rates of whole cells have all of a tuner's parameters
    const auto same_settings = [wanted](const MeasuredRate& rate) {
      const json settings = without_length(rate.tuner_params);
      return settings.is_object() && differences(settings, wanted).empty();
    };
    const auto same_shape = [&demand](const MeasuredRate& rate) {
      return rate.dim == demand.dim && rate.classes == demand.classes;
    };
    const auto has_shape = [](const MeasuredRate& rate) { return rate.dim > 0 && rate.classes > 0; };
    // their seconds depend on rows, which no rate knows: nothing there can be scaled
    const bool counts_steps = demand.unit != "heads";
    Level exact{counts_steps ? "same tuner, settings and shape" : "same tuner, settings and shape, whatever the rows",
                [=](const MeasuredRate& rate) { return same_tuner(rate) && same_settings(rate) && same_shape(rate); }};
    Level scaled{
        fits ? "same tuner and settings, scaled by the size of a head" : "same tuner and settings, scaled by D (D + C)",
        [=](const MeasuredRate& rate) { return same_tuner(rate) && same_settings(rate) && has_shape(rate); }};
    scaled.scale = [this, &demand, fits](const MeasuredRate& rate) {
      return fits ? weight_of_head(demand, demand.dim, demand.classes) / weight_of_head(demand, rate.dim, rate.classes)
                  : weight_of_test(demand.dim, demand.classes) / weight_of_test(rate.dim, rate.classes);
    };
    scaled.differs = [](const MeasuredRate& rate) { return fmt::format("D {}, C {}", rate.dim, rate.classes); };
    Level other{"same tuner and shape, other settings",
                [=](const MeasuredRate& rate) { return same_tuner(rate) && same_shape(rate); }};
    other.differs = [wanted](const MeasuredRate& rate) {
      return differences(without_length(rate.tuner_params), wanted);
    };
    // a stranger's code is asked nothing in this process
    if (tuner.outside || !counts_steps) return {exact, other};
    return {exact, scaled, other};
  }

  std::vector<Level> levels_of_fits(const StageDemand& demand) const {
    const ResolvedPlugin& tuner = plan_.tuners[*demand.tuner];
    const bool fits = demand.kind == DemandKind::fit_encoder;
    const json wanted = without_length(tuner.stack_key);
    const auto same = [&demand, &tuner, fits](const MeasuredRate& rate) {
      return rate.stage == (fits ? "tune" : "evaluate") && rate.tuner == tuner.name && rate.unit == demand.unit &&
             rate.encoder == demand.encoder && rate.encoder_params == demand.encoder_params;
    };
    const auto settings = [](const MeasuredRate& rate) { return without_length(rate.tuner_params); };
    Level exact{"same encoder, tuner and settings",
                [=](const MeasuredRate& rate) { return same(rate) && settings(rate) == wanted; }};
    Level other{"same encoder and tuner, other settings", same};
    other.differs = [=](const MeasuredRate& rate) { return differences(settings(rate), wanted); };
    return {exact, other};
  }

  // What a head keeps, to which the products of a step are nearly in proportion.
  double weight_of_head(const StageDemand& demand, std::int64_t dim, std::int64_t classes) const {
    StackShape shape{1, 1, dim, classes};
    shape.tokens = demand.tokens;
    return static_cast<double>(
        std::max<std::int64_t>(1, make_tuner(plan_.tuners[*demand.tuner])->bytes_per_head(shape)));
  }

  // Of one sample: its share of a spectrum, and its logits.
  static double weight_of_test(std::int64_t dim, std::int64_t classes) {
    return static_cast<double>(dim) * static_cast<double>(dim + classes);
  }

  static int threads_of_recipe(const std::string& recipe) {
    const json settings = json::parse(recipe, nullptr, /*allow_exceptions=*/false);
    return settings.is_object() ? settings.value("threads", 1) : 0;
  }

  // False where no rate is of this level.
  bool take(const Level& level, const StageDemand& demand, StageEstimate& result) const;

  const Plan& plan_;
  const std::vector<MeasuredRate>& rates_;
};

bool RateMatch::take(const Level& level, const StageDemand& demand, StageEstimate& result) const {
  double items = 0, seconds = 0, scaled = 0;
  std::int64_t runs = 0;
  std::set<std::string> differences;
  int threads = demand.threads;
  for (const MeasuredRate& rate : rates_) {
    if (!level.fits(rate)) continue;
    items += rate.items;
    seconds += rate.seconds;
    scaled += rate.seconds * level.scale(rate);
    runs += rate.runs;
    result.peak_bytes = std::max(result.peak_bytes, rate.peak_bytes);
    if (const std::string own = level.differs(rate); !own.empty()) differences.insert(own);
    if (demand.threads == 0) threads = std::max(threads, rate.threads);
  }
  if (runs == 0) return false;
  result.per_second = items / scaled;
  result.scale = scaled / seconds;
  result.threads = std::max(1, threads);
  result.hours = demand.items * scaled / items / kSecondsPerHour;
  result.level = level.how;
  result.detail = fmt::format("{}{}{} stages of {:.3g} s", fmt::join(differences, "; "),
                              differences.empty() ? "" : "; ", runs, seconds);
  return true;
}

}  // namespace

StageEstimate estimate_stage(const Plan& plan, const std::vector<MeasuredRate>& rates, const StageDemand& demand) {
  return RateMatch(plan, rates).of(demand);
}

}  // namespace nmlbench::cli
