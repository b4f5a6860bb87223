#include "engine/encoder_shapes.h"

#include "engine/checkpoint_job.h"
#include "engine/isolation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace nmlbench {

std::string build_of(const Checkpoint& checkpoint, const InputInfo& input) {
  return fmt::format("{} {} {} {}", checkpoint.encoder.identity(), static_cast<int>(input.kind),
                     fmt::join(input.sample_shape, "x"), input.classes);
}

const EncoderShape& EncoderShapes::of(const Plan& plan, std::size_t index, std::size_t readout, std::size_t split) {
  const Checkpoint& checkpoint = plan.checkpoints[index];
  std::map<std::string, EncoderShape>& of_readout = built_[build_of(checkpoint, input_of(plan, checkpoint, split))];
  const std::string& name = checkpoint.readouts[readout].readout;
  if (of_readout.count(name) == 0) build(plan, index, split, of_readout);
  return of_readout.at(name);
}

void EncoderShapes::build(const Plan& plan, std::size_t index, std::size_t split,
                          std::map<std::string, EncoderShape>& of_readout) {
  const Checkpoint& checkpoint = plan.checkpoints[index];
  std::shared_ptr<Encoder> encoder;
  for (std::size_t i = 0; i < checkpoint.readouts.size(); ++i) {
    EncoderShape& shape = of_readout[checkpoint.readouts[i].readout];
    try {
      if (is_isolated(isolation_, checkpoint.encoder)) {
        std::tie(shape.dim, shape.tokens) = isolation_->feature_shape(plan, index, i, split);
        continue;
      }
      if (!encoder) encoder = build_encoder(checkpoint, input_of(plan, checkpoint, split), torch::kCPU);
      set_readouts(*encoder, checkpoint, {i});
      shape.dim = encoder->feature_dim();
      shape.tokens = encoder->feature_tokens();
    } catch (...) {
      shape.error = failure_of_current_exception();
    }
  }
}

}  // namespace nmlbench
