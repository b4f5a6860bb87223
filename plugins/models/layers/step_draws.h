// Random draws of training steps.
#pragma once

#include <nmlbench/random.h>
#include <nmlbench/torch.h>

#include <memory>
#include <string>

#include <torch/nn/module.h>

namespace nmlbench::plugins {

// A stream for each step. The steps are counted in a buffer of the encoder's submodule `training_state`, which serves
// to resume with the draws that training would have had, and is no part of a finished checkpoint. Until build() there
// is no buffer, and nothing is to be drawn. An encoder has one of them.
class StepDraws {
 public:
  // `name`: of the stream, and, with "_steps", of the buffer.
  void build(torch::nn::Module& owner, const Stream& init, const std::string& name) {
    owner_ = &owner;
    draws_ = init.at(name);
    const auto state = owner.register_module("training_state", std::make_shared<torch::nn::Module>());
    steps_ = state->register_buffer(name + "_steps", torch::zeros({}, torch::kInt64));
  }

  void next_step() {
    if (owner_ == nullptr) return;
    step_ = steps_.item<std::int64_t>();
    steps_ += 1;
  }

  // Whether the encoder trains.
  bool active() const { return owner_ != nullptr && owner_->is_training(); }
  // Of the present step.
  Stream stream() const { return draws_.at(step_); }

 private:
  torch::nn::Module* owner_ = nullptr;
  Stream draws_ = Stream(0);
  torch::Tensor steps_;    // int64, of the steps that began
  std::int64_t step_ = 0;  // the present one
};

}  // namespace nmlbench::plugins
