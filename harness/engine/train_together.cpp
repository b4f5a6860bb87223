#include "engine/train_together.h"

#include "engine/checkpoint_job.h"
#include "engine/lesson.h"

#include <limits>
#include <optional>
#include <vector>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

// What the first process says.
const std::string kKnown = "known ", kMissing = "missing ", kEnd = "end";

class TogetherTrainer {
 public:
  // Splits stay open: as a rule all checkpoints of a matrix are trained on one.
  TogetherTrainer(const Plan& plan, const StageContext& context)
      : plan_(plan),
        context_(context),
        group_(*context.group),
        splits_(plan, std::vector<std::size_t>(plan.splits.size(), std::numeric_limits<std::size_t>::max())) {}

  TogetherSummary run(const std::set<std::size_t>& wanted) {
    for (const std::size_t index : wanted) train(index);
    if (group_.from_first(kEnd) != kEnd) refuse_plan();
    return summary_;
  }

 private:
  void train(std::size_t index) {
    const Checkpoint& checkpoint = plan_.checkpoints[index];
    const std::shared_ptr<Encoder> encoder =
        build_encoder(checkpoint, input_of(plan_, checkpoint, *checkpoint.split), context_.device);
    if (const std::string obstacle = encoder->data_parallel_obstacle(); !obstacle.empty()) {
      spdlog::warn("{}: {} is left for `run`: processes cannot share its training: {}", checkpoint.encoder.where.text(),
                   name_for_people(checkpoint), obstacle);
      ++summary_.left;
      return;
    }
    // held until it is published; others wait for the first process's word
    std::optional<Lease> lock;
    if (group_.is_first()) lock.emplace(context_.cache.lock(checkpoint.id, context_.stop));
    const bool known = group_.is_first() && context_.cache.find(ArtifactKind::checkpoint, checkpoint.id);
    if (agree(checkpoint.id, known)) {
      ++summary_.known;
      return;
    }
    train_missing(index, *encoder);
  }

  // Whether the first process's cache has it.
  bool agree(const std::string& id, bool known) {
    const std::string word = group_.from_first((known ? kKnown : kMissing) + id);
    if (word != kKnown + id && word != kMissing + id) refuse_plan();
    return word == kKnown + id;
  }

  [[noreturn]] void refuse_plan() const {
    throw Error(
        fmt::format("process {} of {} has planned other checkpoints than the first one; all need the same matrix, "
                    "data and plugins",
                    group_.rank() + 1, group_.size()));
  }

  void train_missing(std::size_t index, Encoder& encoder) {
    const Checkpoint& checkpoint = plan_.checkpoints[index];
    at::set_num_threads(checkpoint.optim.threads);
    context_.progress.begin("pre-train " + name_for_people(checkpoint),
                            job_images(plan_, {index, {}, false}, context_.cache), plan_.sample_unit());
    try {
      const CheckpointFacts facts = train_checkpoint(
          plan_, checkpoint, encoder, [&](std::size_t split) { return splits_.acquire(split); }, context_);
      spdlog::info("trained {} by {} processes: {:.0f} samples/s, loss {:.3f}", name_for_people(checkpoint),
                   group_.size(), facts.images_per_second, facts.loss_curve.back());
      ++summary_.trained;
    } catch (const Diverged& error) {  // in all processes alike
      if (group_.is_first()) spdlog::error("{}: {}", name_for_people(checkpoint), error.what());
      ++summary_.failed;
    }
    context_.progress.end();
  }

  const Plan& plan_;
  const StageContext& context_;
  TrainingGroup& group_;
  SplitPool splits_;
  TogetherSummary summary_;
};

}  // namespace

TogetherSummary train_together(const Plan& plan, const std::set<std::size_t>& wanted, const StageContext& context) {
  return TogetherTrainer(plan, context).run(wanted);
}

}  // namespace nmlbench
