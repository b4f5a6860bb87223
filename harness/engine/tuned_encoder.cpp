#include "engine/tuned_encoder.h"

#include <nmlbench/compat.h>
#include <nmlbench/parameter_stack.h>

#include <algorithm>

#include <fmt/format.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/serialize.h>

namespace nmlbench {
namespace {

using torch::Tensor;

// The two layers of the MLP blocks: of timm (vit, swin, convnext), transformers' BERT and RoBERTa, GPT-2 and CLIP.
constexpr const char* kMlpBlocks[] = {"**.mlp.fc1.weight",
                                      "**.mlp.fc2.weight",
                                      "**.layer.*.intermediate.dense.weight",
                                      "**.layer.*.output.dense.weight",
                                      "**.mlp.c_fc.weight",
                                      "**.mlp.c_proj.weight"};
constexpr std::size_t kNamesInMessage = 12;

// "a, b, c and 40 more"
std::string some_names(const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.dim() > 1 && names.size() < kNamesInMessage) names.push_back(name);
  }
  const auto all =
      std::count_if(tensors.begin(), tensors.end(), [](const auto& item) { return item.second.dim() > 1; });
  const auto more = static_cast<std::size_t>(all) - names.size();
  return fmt::format("{}{}", fmt::join(names, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

bool is_batch_norm(torch::nn::Module& module) {
  return module.as<torch::nn::BatchNorm1d>() != nullptr || module.as<torch::nn::BatchNorm2d>() != nullptr ||
         module.as<torch::nn::BatchNorm3d>() != nullptr;
}

std::vector<Tensor> copies_of(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> copies;
  for (const Tensor& tensor : tensors) copies.push_back(tensor.detach().clone());
  return copies;
}

}  // namespace

bool names_parameter(std::string_view glob, std::string_view name) {
  if (glob.empty()) return name.empty();
  if (glob.front() != '*') {
    return !name.empty() && glob.front() == name.front() && names_parameter(glob.substr(1), name.substr(1));
  }
  const bool any = glob.substr(0, 2) == "**";
  const std::string_view rest = glob.substr(any ? 2 : 1);
  for (std::size_t taken = 0; taken <= name.size(); ++taken) {
    if (names_parameter(rest, name.substr(taken))) return true;
    if (taken < name.size() && name[taken] == '.' && !any) return false;
  }
  return false;
}

// ---- What moves

TunedEncoder::TunedEncoder(Encoder& encoder, EncoderTuner& tuner, LinearHead head, const Options& options,
                           const Batch& example, const Stream& draws)
    : encoder_(encoder), tuner_(tuner), head_(std::move(head)), options_(options) {
  const Named in_use = parameters_in_use(example);
  if (in_use.empty()) throw Error("the encoder has no weights to move; tune a head on its frozen features");
  require_statistics();
  choose(tuner.update(), in_use, draws);
  if (options_.keeps_first_weights) first_ = copies_of(moved());
  trained_.emplace_back("head.weight", head_.weight);
  trained_.emplace_back("head.bias", head_.bias);
  std::vector<Tensor> all;
  for (const auto& [name, tensor] : trained_) all.push_back(tensor);
  optimizer_.emplace(std::move(all), options_.optim);
  head_.weight.set_requires_grad(true);
  head_.bias.set_requires_grad(true);
}

// An encoder may have a head of its pre-training, or a tower of texts, besides. All others are frozen from here on.
TunedEncoder::Named TunedEncoder::parameters_in_use(const Batch& example) const {
  Named all;
  for (const auto& item : encoder_.named_parameters()) {
    if (item.value().is_floating_point()) all.emplace_back(item.key(), item.value());
  }
  Named in_use;
  if (all.empty()) return in_use;
  for (auto& [name, tensor] : all) {
    tensor.set_requires_grad(true);
    tensor.mutable_grad() = Tensor();
  }
  {
    const torch::AutoGradMode record(true);
    set_mode(/*training=*/false);
    const Tensor sum = features(example, Precision::fp32).sum();
    if (sum.requires_grad()) sum.backward();
  }
  for (auto& [name, tensor] : all) {
    if (tensor.grad().defined()) in_use.emplace_back(name, tensor);
    tensor.mutable_grad() = Tensor();
    tensor.set_requires_grad(false);
  }
  return in_use;
}

// Layers that are hidden in a script keep their statistics whatever is asked.
void TunedEncoder::require_statistics() const {
  if (!options_.batch_statistics) return;
  const auto modules = encoder_.modules();
  if (std::any_of(modules.begin(), modules.end(), [](const auto& module) { return is_batch_norm(*module); })) return;
  for (const auto& item : encoder_.named_buffers()) {
    if (item.key().ends_with("running_mean")) {
      throw Error("the statistics of the encoder's batch normalisation cannot be moved; take batch_norm = \"frozen\"");
    }
  }
}

void TunedEncoder::choose(const EncoderUpdate& update, const Named& in_use, const Stream& draws) {
  if (update.kind == EncoderUpdate::Kind::low_rank) return add_low_rank(update, in_use, draws);
  for (const auto& [name, tensor] : in_use) {
    if (update.kind == EncoderUpdate::Kind::biases && !name.ends_with("bias")) continue;
    weights_.push_back(tensor);
    trained_.emplace_back(name, tensor);
    weights_.back().set_requires_grad(true);
  }
  if (weights_.empty()) throw Error("the encoder has no biases to move; take another tuner");
}

void TunedEncoder::add_low_rank(const EncoderUpdate& update, const Named& in_use, const Stream& draws) {
  const torch::NoGradGuard no_grad;
  const bool usual = update.targets.empty();
  std::vector<std::string> globs = update.targets;
  if (usual) globs.assign(std::begin(kMlpBlocks), std::end(kMlpBlocks));
  std::vector<bool> chosen(in_use.size());
  for (const std::string& glob : globs) {
    bool any = false;
    for (std::size_t i = 0; i < in_use.size(); ++i) {
      const auto& [name, tensor] = in_use[i];
      if (!names_parameter(glob, name)) continue;
      if (tensor.dim() < 2) {
        throw Error(fmt::format("targets: \"{}\" stands for {}, which is no matrix; name weights", glob, name));
      }
      any = chosen[i] = true;
    }
    if (usual || any) continue;
    throw Error(
        fmt::format("targets: \"{}\" stands for no weight of the encoder; it has {}", glob, some_names(in_use)));
  }
  for (std::size_t i = 0; i < in_use.size(); ++i) {
    if (!chosen[i]) continue;
    const auto& [name, tensor] = in_use[i];
    LowRank own;
    own.weight = tensor;
    own.base = tensor.detach().clone();
    own.scale = update.alpha / static_cast<double>(update.rank);
    const std::int64_t out = tensor.size(0), in = tensor.numel() / out;
    own.a = linear_default(draws.at("low-rank").at(name), {update.rank, in}, in).to(tensor.device());
    own.b = torch::zeros({out, update.rank}, own.a.options());
    trained_.emplace_back(name + ".A", own.a);
    trained_.emplace_back(name + ".B", own.b);
    weights_.push_back(tensor);
    weights_.back().set_requires_grad(true);
    low_rank_.push_back(std::move(own));
  }
  if (!low_rank_.empty()) return;
  throw Error(
      fmt::format("the encoder has no MLP blocks under a known name; say `targets`, of {}", some_names(in_use)));
}

void TunedEncoder::LowRank::merge() const {
  const torch::NoGradGuard no_grad;
  Tensor into = weight;
  into.copy_(base + (b.mm(a) * scale).view(base.sizes()));
}

void TunedEncoder::LowRank::differentiate() const {
  const torch::NoGradGuard no_grad;
  const Tensor gradient = weight.grad().reshape({b.size(0), a.size(1)});
  a.grad().addmm_(b.t(), gradient, 1, scale);
  b.grad().addmm_(gradient, a.t(), 1, scale);
}

// ---- Steps

void TunedEncoder::set_mode(bool training) const {
  encoder_.eval();
  if (!training || !options_.batch_statistics) return;
  for (const auto& module : encoder_.modules()) {
    if (is_batch_norm(*module)) module->train();
  }
}

Tensor TunedEncoder::features(const Batch& batch, Precision precision) const {
  const torch::Device device = head_.weight.device();
  Tensor z;
  {
    const AutocastGuard autocast(device.type(), precision == Precision::bf16);
    z = encoder_.features(batch);
  }
  return z.to(torch::kFloat32);
}

Tensor TunedEncoder::step(const Batch& batch, double lr) {
  const torch::AutoGradMode record(true);
  set_mode(/*training=*/true);
  optimizer_->zero_grad();
  for (const LowRank& own : low_rank_) {
    Tensor weight = own.weight;
    weight.mutable_grad() = Tensor();
  }
  const Tensor z = features(batch, options_.optim.precision);
  const Tensor loss = tuner_.loss(z, torch::linear(z, head_.weight, head_.bias), batch.y);
  if (!loss.defined() || loss.dim() != 0) {
    throw Error("bug in the tuner plugin: its loss is " +
                (loss.defined() ? "of the shape " + c10::str(loss.sizes()) : std::string("undefined")) +
                ", expected a scalar");
  }
  loss.backward();
  for (const LowRank& own : low_rank_) own.differentiate();
  optimizer_->step(lr);
  for (const LowRank& own : low_rank_) own.merge();
  return loss.detach();
}

Prediction TunedEncoder::predict(const Batch& batch, Precision precision) const {
  const torch::NoGradGuard no_grad;
  set_mode(/*training=*/false);
  const Tensor z = features(batch, precision);
  return {torch::linear(z, head_.weight, head_.bias), z};
}

// ---- The weights in between

std::vector<Tensor> TunedEncoder::statistics() const {
  std::vector<Tensor> all;
  if (!options_.batch_statistics) return all;
  for (const auto& module : encoder_.modules()) {
    if (!is_batch_norm(*module)) continue;
    for (const Tensor& buffer : module->buffers(/*recurse=*/false)) {
      if (buffer.is_floating_point()) all.push_back(buffer);
    }
  }
  return all;
}

std::vector<Tensor> TunedEncoder::moved() const {
  std::vector<Tensor> all = weights_;
  all.insert(all.end(), {head_.weight, head_.bias});
  const std::vector<Tensor> buffers = statistics();
  all.insert(all.end(), buffers.begin(), buffers.end());
  return all;
}

void TunedEncoder::go_to(double share) {
  if (first_.empty()) {
    if (share == 1) return;
    throw Error("bug in the harness: the first weights were not kept");
  }
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> live = moved();
  if (tuned_.empty()) tuned_ = copies_of(live);
  for (std::size_t i = 0; i < live.size(); ++i) live[i].copy_(torch::lerp(first_[i], tuned_[i], share));
}

// ---- Resuming

void TunedEncoder::save(torch::serialize::OutputArchive& archive) const {
  torch::serialize::OutputArchive state;
  optimizer_->save(state);
  archive.write("optimizer", state);
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    archive.write(fmt::format("value{}", i), trained_[i].second.detach(), /*is_buffer=*/true);
  }
  const std::vector<Tensor> buffers = statistics();
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    archive.write(fmt::format("statistic{}", i), buffers[i], /*is_buffer=*/true);
  }
}

void TunedEncoder::load(torch::serialize::InputArchive& archive) {
  const torch::NoGradGuard no_grad;
  std::vector<std::pair<Tensor, Tensor>> pairs;  // ours, the archive's
  const auto read = [&](const std::string& name, const Tensor& ours) {
    Tensor theirs;
    archive.read(name, theirs, /*is_buffer=*/true);
    if (theirs.sizes() != ours.sizes()) throw Error(name + " has another shape");
    pairs.emplace_back(ours, theirs);
  };
  for (std::size_t i = 0; i < trained_.size(); ++i) read(fmt::format("value{}", i), trained_[i].second);
  const std::vector<Tensor> buffers = statistics();
  for (std::size_t i = 0; i < buffers.size(); ++i) read(fmt::format("statistic{}", i), buffers[i]);
  torch::serialize::InputArchive state;
  archive.read("optimizer", state);
  optimizer_->load(state);
  for (auto& [ours, theirs] : pairs) ours.copy_(theirs);
  for (const LowRank& own : low_rank_) own.merge();
}

}  // namespace nmlbench
