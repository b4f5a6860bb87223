// Out-of-line destructors and defaults: they anchor vtables and type_info in this one shared library, so that
// dynamic_cast and catch work across plugins.
#include <nmlbench/dataset.h>
#include <nmlbench/encoder.h>
#include <nmlbench/encoder_tuner.h>
#include <nmlbench/error.h>
#include <nmlbench/noise.h>
#include <nmlbench/parameter_stack.h>
#include <nmlbench/tuner.h>

#include <torch/nn/functional/loss.h>

namespace nmlbench {

Dataset::~Dataset() = default;
torch::Tensor Dataset::crops(const torch::Tensor& indices, const ChooseCrop& choose) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor images = samples(indices, torch::kCPU);
  torch::Tensor out = torch::empty_like(images);
  const std::int64_t height = images.size(2), width = images.size(3);
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    const CropBox box = choose(i, width, height);
    const torch::Tensor part =
        images[i].narrow(1, box.top, box.height).narrow(2, box.left, box.width).to(torch::kFloat32).unsqueeze(0);
    const torch::Tensor resized = torch::_upsample_bicubic2d_aa(part, {height, width}, /*align_corners=*/false);
    out[i].copy_(resized[0].round().clamp(0, 255));
  }
  return out;
}
std::vector<Text> Dataset::texts(const torch::Tensor&) {
  throw Error("this dataset has no texts");
}

namespace {

// Of an encoder that reads `wanted`, and data of another kind.
[[noreturn]] void refuse(const InputInfo& input, const std::string& encoder, const char* wanted) {
  const char* have = "images";
  const char* instead = "use one that encodes images (`nmlbench plugins list`)";
  if (input.kind == SampleKind::feature) {
    have = "features";
    instead = "use identity";
  } else if (input.kind == SampleKind::text) {
    have = "texts";
    instead = "use one that encodes texts (`nmlbench plugins list`)";
  }
  throw Error(encoder + " " + wanted + ", and the data are " + have + "; " + instead);
}

}  // namespace

void require_images(const InputInfo& input, const std::string& encoder) {
  if (input.kind != SampleKind::image && input.kind != SampleKind::image_text) refuse(input, encoder, "encodes images");
}
void require_features(const InputInfo& input, const std::string& encoder) {
  if (input.kind != SampleKind::feature) refuse(input, encoder, "passes features on");
}
void require_texts(const InputInfo& input, const std::string& encoder) {
  if (input.kind != SampleKind::text) refuse(input, encoder, "encodes texts");
}

Encoder::~Encoder() = default;
void Encoder::set_readouts(const std::vector<Params>&) {
  throw Error("bug in the encoder plugin: it has parameters of Role::readout and does not override set_readouts()");
}
std::string Encoder::data_parallel_obstacle() const {
  return "it does not say that they can";
}
torch::Tensor Encoder::pretrain_logits(const Batch&) {
  return {};
}
ClassScores Encoder::zero_shot(const std::vector<std::vector<Text>>&) {
  return nullptr;
}
torch::Tensor Encoder::pretrain_loss(const Batch& batch) {
  const torch::Tensor logits = pretrain_logits(batch);
  if (!logits.defined()) throw Error("this encoder cannot be pre-trained");
  // bfloat16 logits of autocast would be rounded twice
  return torch::nn::functional::cross_entropy(logits.element_size() < 4 ? logits.to(torch::kFloat32) : logits, batch.y);
}

NoiseModel::~NoiseModel() = default;
std::optional<double> NoiseModel::expected_rate(std::int64_t) const {
  return std::nullopt;
}
torch::Tensor NoiseModel::expected_transition(std::int64_t) const {
  return {};
}

TrainingSet::~TrainingSet() = default;
Tuner::~Tuner() = default;

EncoderTuner::~EncoderTuner() = default;
LinearHead EncoderTuner::first_head(const StackShape& shape, const Stream& draws, const TrainingSet*,
                                    const Context& context) {
  const Stream init = draws.at("init").at("weight");
  return {kaiming_uniform(init, {shape.classes, shape.dim}, shape.dim).to(context.device),
          torch::zeros({shape.classes}, torch::dtype(torch::kFloat32).device(context.device))};
}
torch::Tensor EncoderTuner::loss(const torch::Tensor&, const torch::Tensor& logits, const torch::Tensor& labels) {
  return torch::nn::functional::cross_entropy(logits, labels);
}

}  // namespace nmlbench
