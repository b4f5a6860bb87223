#include "models/layers/image_input.h"

namespace nmlbench::plugins {
namespace {

constexpr std::int64_t kFeatureRows = 32;  // images that are encoded at a time

}  // namespace

ImageInput::ImageInput(const char* name, const Params& params, const UsualInput& usual)
    : name_(name),
      size_(params.integer("size")),
      preprocessing_{params.text("resize"), params.real("crop_pct"), params.text("interpolation")},
      mean_(params.reals("mean")),
      std_(params.reals("std")) {
  if (size_ == 0) size_ = usual.size;
  if (preprocessing_.crop_pct == 0) preprocessing_.crop_pct = usual.crop_pct;
  if (mean_.empty()) mean_ = usual.mean;
  if (std_.empty()) std_ = usual.std;
  if (size_ < 8 || preprocessing_.crop_pct < 0.06) {
    throw Error(name_ + std::string(": size is at least 8 px and crop_pct at least 0.06, or 0 for the variant's"));
  }
}

InputSpec ImageInput::spec() const {
  InputSpec spec;
  spec.height = spec.width = size_;
  spec.mean = mean_;
  spec.std = std_;
  spec.preprocessing = preprocessing_;
  return spec;
}

void ImageInput::require_colours() const {
  for (const std::vector<double>* colours : {&mean_, &std_}) {
    if (colours->size() != 1 && colours->size() != 3) {
      throw Error(std::string(name_) + ": mean and std have one number or one for each of three colours");
    }
  }
}

void use_channels_last(torch::nn::Module& encoder) {
  for (torch::Tensor& weight : encoder.parameters()) {
    if (weight.dim() == 4) weight.set_data(weight.data().contiguous(torch::MemoryFormat::ChannelsLast));
  }
}

torch::Tensor by_rows(const torch::nn::Module& encoder, const torch::Tensor& x,
                      const std::function<torch::Tensor(const torch::Tensor&)>& features) {
  if (torch::GradMode::is_enabled() || encoder.is_training() || x.is_cuda()) return features(x);
  std::vector<torch::Tensor> parts;
  for (const torch::Tensor& rows : x.split(kFeatureRows)) parts.push_back(features(rows));
  return torch::cat(parts);
}

}  // namespace nmlbench::plugins
