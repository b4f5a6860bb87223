#include "exported_model.h"

#include "support/resize_mode.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace nmlbench::plugins {

ExportedModel::ExportedModel(std::string name, const Params& params)
    : name_(std::move(name)), file_(params.path("path")), output_(params.text("output")) {}

void ExportedModel::build(const InputInfo& input, const Stream&) {
  require_images(input, name_);
  const InputSpec spec = this->input();
  load();
  const torch::NoGradGuard no_grad;
  dim_ = checked_run(torch::zeros({2, spec.channels, spec.height, spec.width})).size(1);
}

InputSpec ExportedModel::input() const {
  if (!spec_) spec_ = read_input();
  return *spec_;
}

torch::Tensor ExportedModel::checked_run(const torch::Tensor& x) {
  torch::Tensor features;
  try {
    features = run(x);
  } catch (const DataError&) {
    throw;
  } catch (const std::exception& error) {  // the library's own
    throw DataError(file_.string() + ": its model fails on images " + c10::str(x.sizes()) + ": " +
                    first_line(error.what()));
  }
  if (features.dim() > 2) features = features.flatten(1);  // [B, D, 1, 1]
  if (features.dim() != 2 || features.size(0) != x.size(0) || !features.is_floating_point()) {
    throw DataError(file_.string() + ": its model gives " + c10::str(features.sizes()) + " for images " +
                    c10::str(x.sizes()) + "; features [B, D] of floating point are needed");
  }
  return features;
}

InputSpec ExportedModel::read_input() const {
  const std::optional<std::string> text = about();
  if (!text) {
    throw DataError(file_.string() +
                    ": does not say what images its model wants; export it with "
                    "tools/export_encoder.py, or give it an entry nmlbench.json (docs/DESIGN.md)");
  }
  InputSpec spec;
  Preprocessing how;
  try {
    const auto json = nlohmann::json::parse(*text);
    spec.channels = json.value("channels", 3);
    spec.height = spec.width = json.at("size").get<std::int64_t>();
    how.resize = json.at("resize").get<std::string>();
    how.crop_pct = json.at("crop_pct").get<double>();
    how.interpolation = json.at("interpolation").get<std::string>();
    spec.mean = json.at("mean").get<std::vector<double>>();
    spec.std = json.at("std").get<std::vector<double>>();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(file_.string() + ": its nmlbench.json is wrong: " + error.what());
  }
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) throw DataError(file_.string() + ": its nmlbench.json is wrong: " + what);
  };
  require(spec.channels == 1 || spec.channels == 3, "channels are 1 or 3");
  require(spec.height > 0 && spec.height <= 4096, "size is between 1 and 4096 px");
  require(resize_mode(how.resize).has_value(), "resize is \"squash\", \"crop\" or \"crop-ceil\"");
  require(how.crop_pct > 0.05 && how.crop_pct <= 1, "crop_pct is in (0.05, 1]");
  require(how.interpolation == "bilinear" || how.interpolation == "bicubic",
          "interpolation is \"bilinear\" or \"bicubic\"");
  for (const auto* colours : {&spec.mean, &spec.std}) {
    require(colours->size() == 1 || static_cast<std::int64_t>(colours->size()) == spec.channels,
            "mean and std have a number for each channel, or one for all");
  }
  for (const double deviation : spec.std) require(deviation > 0, "std is positive");
  spec.preprocessing = how;
  return spec;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace nmlbench::plugins
