#include "engine/fine_tune.h"

#include "config/precision.h"
#include "engine/epoch_losses.h"

#include <nmlbench/compat.h>
#include <nmlbench/dense.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <torch/serialize.h>

namespace nmlbench {
namespace {

using Clock = std::chrono::steady_clock;

class Loop {
 public:
  Loop(TunedEncoder& encoder, const FineTuning& how, const FineTuneRows& rows, const Stream& draws,
       torch::Device device, const FineTuneHooks& hooks)
      : encoder_(encoder),
        how_(how),
        rows_(rows),
        draws_(draws),
        device_(device),
        hooks_(hooks),
        batch_(std::min(rows.size, how.optim.batch_size)),
        steps_(steps_of_epoch(rows.size, how)) {}

  FineTuneReport run() {
    resume();
    while (static_cast<std::int64_t>(report_.loss.size()) < how_.optim.epochs) {
      run_epoch(static_cast<std::int64_t>(report_.loss.size()));
      save();
      hooks_.epoch(static_cast<std::int64_t>(report_.loss.size()), report_.loss.back());
    }
    if (hooks_.partial != nullptr) hooks_.partial->wait();
    return std::move(report_);
  }

 private:
  void run_epoch(std::int64_t epoch) {
    const torch::Tensor order = draws_.at("shuffle").at(epoch).permutation(rows_.size);
    torch::Tensor loss_sum = torch::zeros({}, torch::dtype(torch::kFloat64).device(device_));
    EpochLosses losses(steps_, device_);
    std::int64_t seen = 0;
    const auto first = Clock::now();
    auto begin = first;
    for (std::int64_t i = 0; i < steps_; ++i) {
      if (hooks_.stop != nullptr && hooks_.stop->load(std::memory_order_relaxed)) throw Interrupted();
      const torch::Tensor places = order.slice(0, i * batch_, (i + 1) * batch_);
      const std::int64_t step = epoch * steps_ + i, rows = places.size(0);
      const Batch batch = rows_.batch(places, draws_.at("augment").at(step));
      const torch::Tensor own = encoder_.step(batch, how_.optim.lr * factor(step));
      losses.keep(i, own);
      loss_sum += own.to(torch::kFloat64) * static_cast<double>(rows);
      seen += rows;
      if (!std::exchange(warm_, true)) {
        synchronize(device_);
        begin = Clock::now();
      } else {
        report_.rows += static_cast<double>(rows);
      }
      hooks_.advance(static_cast<double>(rows));
    }
    const double loss = loss_sum.item<double>() / static_cast<double>(seen);
    const auto end = Clock::now();
    report_.seconds += std::chrono::duration<double>(end - begin).count();
    report_.all_seconds += std::chrono::duration<double>(end - first).count();
    if (!std::isfinite(loss)) {
      throw Error(
          fmt::format("training diverged: the loss of epoch {} is {}, first in step {} of {}; lower lr or set clip",
                      epoch + 1, loss, losses.first_not_finite(), steps_));
    }
    report_.loss.push_back(static_cast<float>(loss));
  }

  double factor(std::int64_t step) const {
    return schedule_factor(how_.optim, static_cast<double>(step), static_cast<double>(steps_ * how_.optim.epochs),
                           static_cast<double>(steps_));
  }

  void save() {
    if (hooks_.partial == nullptr) return;
    torch::serialize::OutputArchive archive;
    encoder_.save(archive);
    archive.write("loss_curve", torch::tensor(report_.loss), /*is_buffer=*/true);
    archive.write("timing", torch::tensor({report_.rows, report_.seconds, report_.all_seconds}, torch::kFloat64),
                  /*is_buffer=*/true);
    hooks_.partial->save(archive);
  }

  void resume() {
    if (hooks_.partial == nullptr) return;
    FineTuneReport known;
    const bool found = hooks_.partial->load(device_, [&](torch::serialize::InputArchive& archive) {
      torch::Tensor curve, timing;
      archive.read("loss_curve", curve, /*is_buffer=*/true);
      archive.read("timing", timing, /*is_buffer=*/true);
      curve = curve.to(torch::kCPU, torch::kFloat32).contiguous();
      known.loss.assign(dense_data<float>(curve), dense_data<float>(curve) + curve.numel());
      known.rows = timing[0].item<double>();
      known.seconds = timing[1].item<double>();
      known.all_seconds = timing[2].item<double>();
      encoder_.load(archive);
    });
    if (!found) return;
    report_ = std::move(known);
    std::int64_t rows = 0;
    for (std::int64_t i = 0; i < steps_; ++i) rows += std::min(batch_, rows_.size - i * batch_);
    hooks_.advance(static_cast<double>(rows) * static_cast<double>(report_.loss.size()));
    spdlog::info("a fine-tuning resumes after epoch {} of {}", report_.loss.size(), how_.optim.epochs);
  }

  TunedEncoder& encoder_;
  const FineTuning& how_;
  const FineTuneRows& rows_;
  const Stream draws_;
  torch::Device device_;
  const FineTuneHooks& hooks_;
  std::int64_t batch_, steps_;
  FineTuneReport report_;
  bool warm_ = false;
};

}  // namespace

FineTuning read_fine_tuning(const Params& params, const Location& where) {
  FineTuning how;
  how.optim.name = "adamw";
  how.optim.lr = params.real("lr");
  how.optim.weight_decay = params.real("weight_decay");
  how.optim.epochs = params.integer("epochs");
  how.optim.batch_size = params.integer("batch_size");
  how.optim.schedule = params.text("schedule");
  how.optim.warmup = params.real("warmup");
  how.optim.clip = params.real("clip");
  how.optim.precision = precision_named(params.text("precision"));
  how.optim.threads = static_cast<int>(params.integer("threads"));
  how.probes = params.text("head") == "probe";
  how.batch_statistics = params.text("batch_norm") == "batch";
  how.task_views = params.text("augment") == "task";
  if (how.task_views && params.real("jitter") > 0) {
    throw ConfigError(where, fmt::format("jitter = {:g} does nothing with augment = \"task\"; put it into the task's "
                                         "`views`, or name another augment",
                                         params.real("jitter")));
  }
  if (!how.task_views) how.augmentation = to_augmentation(params, where);
  return how;
}

std::int64_t steps_of_epoch(std::int64_t rows, const FineTuning& how) {
  const std::int64_t smallest = how.batch_statistics ? 2 : 1, batch = std::min(rows, how.optim.batch_size);
  if (batch < smallest) {
    throw Error(fmt::format("the training split has {} rows and a minibatch needs at least {}", rows, smallest));
  }
  const std::int64_t rest = rows % batch;
  return rows / batch + (rest >= smallest ? 1 : 0);
}

FineTuneReport fine_tune(TunedEncoder& encoder, const FineTuning& how, const FineTuneRows& rows, const Stream& draws,
                         torch::Device device, const FineTuneHooks& hooks) {
  return Loop(encoder, how, rows, draws, device, hooks).run();
}

}  // namespace nmlbench
