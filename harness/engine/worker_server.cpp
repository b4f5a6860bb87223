#include "engine/worker_server.h"

#include "config/matrix_spec.h"
#include "engine/channel.h"
#include "engine/encodings.h"
#include "engine/process.h"
#include "engine/records_json.h"
#include "engine/stack_size.h"
#include "engine/told_inspector.h"
#include "plan/trials.h"
#include "registry/inspector.h"
#include "registry/registry.h"

#include <nmlbench/surroundings.h>

#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include <ATen/Parallel.h>
#include <poll.h>
#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace nmlbench {
namespace {

using nlohmann::json;

// Log lines come from any thread, between answers.
class Sender {
 public:
  explicit Sender(int socket) : socket_(socket) {}
  void send(const json& message) {
    const std::lock_guard lock(mutex_);
    send_message(socket_, message);
  }

 private:
  std::mutex mutex_;
  int socket_;
};

class LogSender : public spdlog::sinks::sink {
 public:
  explicit LogSender(Sender& sender) : sender_(sender) {}
  void log(const spdlog::details::log_msg& line) override {
    sender_.send({{"event", "log"},
                  {"level", static_cast<int>(line.level)},
                  {"text", std::string(line.payload.data(), line.payload.size())}});
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  Sender& sender_;
};

class ProgressSender : public ProgressListener {
 public:
  explicit ProgressSender(Sender& sender) : sender_(sender) {}
  void begin(const std::string&, double, const std::string&) override {}
  void advance(double units) override { sender_.send({{"event", "advance"}, {"units", units}}); }
  void epoch(const EpochReport& report) override { sender_.send({{"event", "epoch"}, {"report", report}}); }
  void end() override {}

 private:
  Sender& sender_;
};

// A planned matrix and what its stages need.
struct Stages {
  Stages(Plan made, const json& request)
      : plan(std::move(made)),
        cache(request.at("cache").get<std::string>()),
        device(request.at("device").get<std::string>()),
        threads(request.at("threads").get<int>()) {
    context.device = device;
    context.log = log_of_plugin;
  }

  // The plan that a request is about: the matrix's own, or that of its trials.
  Plan& plan_of(const json& request) {
    if (!request.at("trials").get<bool>()) return plan;
    if (!trials) trials = trials_of(plan).plan;
    return *trials;
  }

  // With the tuners that its cells got.
  const Plan& plan_with_tuners(const json& request) {
    Plan& own = plan_of(request);
    for (const auto& [cell, tuner] : request.at("tuners").get<std::map<std::size_t, std::size_t>>()) {
      own.cells.at(cell).tuner = tuner;
    }
    return own;
  }

  Plan plan;
  std::optional<Plan> trials;
  ArtifactCache cache;
  torch::Device device;
  int threads;
  Context context;
  RawSpectra raw;
  TaskLabelTable labels{[](const Plan& of, std::size_t cell) { return draw_task_labels(of, of.cells[cell]); }};
};

class Server {
 public:
  explicit Server(Sender& sender) : progress_(sender) {}

  json answer(const json& request) {
    const auto what = request.at("what").get<std::string>();
    if (request.contains("threads_now")) at::set_num_threads(request.at("threads_now").get<int>());
    if (what == "load") return load(request);
    if (what == "plan") return plan(request);
    if (what == "split") return PluginInspector().split(plugin(request.at("plugin")));
    if (what == "trainable") return PluginInspector().trainable(plugin(request.at("plugin")));
    if (what == "input") return PluginInspector().input(plugin(request.at("plugin")));
    if (what == "feature_dim") {
      return PluginInspector().feature_dim(plugin(request.at("plugin")), request.at("about").get<SplitInfo>());
    }
    if (what == "noise_facts") return PluginInspector().noise(plugin(request.at("plugin")));
    Stages& stages = stages_.value();
    if (what == "shape") return feature_shape(stages, request);
    if (what == "noise") return noise(stages, request.at("checkpoint").get<std::size_t>());
    if (what == "task-labels") {
      const Plan& plan = stages.plan_of(request);
      return draw_task_labels(plan, plan.cells.at(request.at("cell").get<std::size_t>()));
    }
    if (what == "job") return job(stages, request.at("job").get<CheckpointJob>());
    if (what == "fine-tune") return fine_tune(stages, request);
    if (what == "bound") {
      StackSizer sizer(stages.plan_of(request), stages.cache, stages.device, stages.threads, nullptr);
      return sizer.bound(request.at("cells").get<std::vector<std::size_t>>(), request.at("shape").get<HeadShape>());
    }
    return stack(stages, request);
  }

 private:
  json load(const json& request) {
    spdlog::set_level(static_cast<spdlog::level::level_enum>(request.at("level").get<int>()));
    set_surroundings({request.at("cache").get<std::string>(), request.at("image_cache_bytes").get<std::uint64_t>(),
                      request.at("threads").get<int>()});
    registry_.emplace(Registry::load_accepted(request.at("libraries").get<std::vector<std::string>>()));
    return true;
  }

  json plan(const json& request) {
    const auto answers = request.at("answers").get<Answers>();
    const MatrixSpec spec = read_matrix({request.at("file").get<std::string>(), request.at("text").get<std::string>(),
                                         request.at("set").get<std::vector<std::string>>()});
    Plan plan = make_plan(spec, registry_.value(), ToldInspector(answers));
    const auto [index, count] = request.at("shard").get<std::pair<std::int64_t, std::int64_t>>();
    if (count > 0) keep_shard(plan, index, count);
    if (const auto only = request.at("only").get<std::vector<std::string>>(); !only.empty()) keep_cells(plan, only);
    plan.keep_predictions = request.at("keep_predictions").get<bool>();
    plan.keep_probabilities = request.at("keep_probabilities").get<bool>();
    if (digest_of_cells(plan) != request.at("cells").get<std::string>()) {
      throw Error("the matrix was changed while it ran; run it again");
    }
    stages_.emplace(std::move(plan), request);
    return true;
  }

  ResolvedPlugin plugin(const json& request) const {
    ResolvedPlugin plugin;
    plugin.kind = request.at("kind").get<PluginKind>();
    plugin.name = request.at("name").get<std::string>();
    plugin.params = Params(request.at("params").get<std::map<std::string, ParamValue>>());
    plugin.where = request.at("where").get<Location>();
    plugin.entry = registry_.value().find(plugin.kind, plugin.name)->entry;
    return plugin;
  }

  static json feature_shape(Stages& stages, const json& request) {
    const Checkpoint& checkpoint = stages.plan.checkpoints.at(request.at("checkpoint").get<std::size_t>());
    const InputInfo input = input_of(stages.plan, checkpoint, request.at("split").get<std::size_t>());
    const std::shared_ptr<Encoder> encoder = build_encoder(checkpoint, input, torch::kCPU);
    set_readouts(*encoder, checkpoint, {request.at("readout").get<std::size_t>()});
    return std::pair(encoder->feature_dim(), encoder->feature_tokens());
  }

  static json stack(Stages& stages, const json& request) {
    const Stack stack = request.at("stack").get<Stack>();
    return StackRunner(stages.plan_with_tuners(request), stages.cache, stages.context, stages.raw, stages.labels)
        .run(stack);
  }

  static json noise(Stages& stages, std::size_t checkpoint) {
    SplitPool splits(stages.plan, std::vector<std::size_t>(stages.plan.splits.size(), 1));
    return known_noise(stages.plan, stages.plan.checkpoints.at(checkpoint), stages.cache, splits);
  }

  json job(Stages& stages, const CheckpointJob& job) {
    SplitPool splits(stages.plan, uses_of_splits(stages.plan, {job}, stages.cache));
    const StageContext context{stages.cache, progress_, stages.device, nullptr};
    return run_checkpoint_job(stages.plan, job, splits, context);
  }

  json fine_tune(Stages& stages, const json& request) {
    const Plan& plan = stages.plan_with_tuners(request);
    const auto job = request.at("job").get<FineTuneJob>();
    SplitPool splits(plan, uses_of_splits(plan, {job}));
    const StageContext context{stages.cache, progress_, stages.device, nullptr};
    return run_fine_tune_job(plan, job, splits, context, stages.raw, stages.labels);
  }

  ProgressSender progress_;
  std::optional<Registry> registry_;
  std::optional<Stages> stages_;
};

// The program may be killed in any way while a plugin computes.
void end_with(int socket) {
  std::thread([socket] {
    pollfd other{socket, POLLRDHUP, 0};
    while (::poll(&other, 1, -1) <= 0) continue;
    ::_exit(0);
  }).detach();
}

}  // namespace

void serve_worker(int socket) {
  end_with(socket);
  Sender sender(socket);
  spdlog::default_logger()->sinks() = {std::make_shared<LogSender>(sender)};
  Server server(sender);
  MessageReader reader(socket);
  while (reader.receive()) {
    while (const std::optional<json> request = reader.next()) {
      json reply;
      try {
        reply["answer"] = server.answer(*request);
      } catch (...) {
        reply["no_memory"] = current_exception_is_out_of_memory();
        reply["error"] = failure_of_current_exception();
      }
      std::fflush(nullptr);
      sender.send(reply);
    }
  }
  ::_exit(0);
}

}  // namespace nmlbench
