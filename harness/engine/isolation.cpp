#include "engine/isolation.h"

#include "engine/process.h"
#include "engine/records_json.h"

#include <nmlbench/surroundings.h>

#include <algorithm>
#include <map>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace nmlbench {
namespace {

using nlohmann::json;

constexpr std::size_t kIdleWorkers = 8;  // some hundred MB each

std::string name_of(const ResolvedPlugin& plugin) {
  return fmt::format("{} \"{}\" of {}", kind_name(plugin.kind), plugin.name, plugin.library);
}

void take_event(const json& event, ProgressListener* progress) {
  if (event.at("event") == "advance") {
    if (progress != nullptr) progress->advance(event.at("units").get<double>());
  } else if (event.at("event") == "epoch") {
    if (progress != nullptr) progress->epoch(event.at("report").get<EpochReport>());
  } else {
    spdlog::log(static_cast<spdlog::level::level_enum>(event.at("level").get<int>()), "{}",
                event.at("text").get<std::string>());
  }
}

void ignore_progress(const json& event) {
  take_event(event, nullptr);
}

void expect(const json& answer) {
  if (answer.contains("error")) throw WorkerFailure(answer.at("error").get<Failure>(), false);
}

const ResolvedPlugin& tuner_of_cell(const Plan& plan, std::size_t cell) {
  return plan.tuners[plan.cells[cell].tuner];
}

// Of each of these cells; one with a grid has the one that was chosen here.
std::map<std::size_t, std::size_t> tuners_of(const Plan& plan, const std::vector<std::size_t>& cells) {
  std::map<std::size_t, std::size_t> tuners;
  for (const std::size_t cell : cells) tuners.emplace(cell, plan.cells[cell].tuner);
  return tuners;
}

}  // namespace

bool Isolation::covers(const ResolvedPlugin& plugin) const {
  if (options_.which == IsolationOptions::Which::outside) return plugin.outside;
  return options_.which == IsolationOptions::Which::all;
}

std::vector<const ResolvedPlugin*> Isolation::plugins_of(const Plan& plan, const CheckpointJob& job) {
  const Checkpoint& checkpoint = plan.checkpoints[job.checkpoint];
  std::vector<const ResolvedPlugin*> all = {&checkpoint.encoder};
  if (checkpoint.trained()) all.push_back(&plan.splits[*checkpoint.split].plugin);
  for (const NoiseStep& step : checkpoint.noise) {
    all.push_back(&step.model);
    if (step.source) all.push_back(&plan.splits[*step.source].plugin);
  }
  for (const std::size_t encoding : job.encodings) all.push_back(&plan.splits[plan.encodings[encoding].split].plugin);
  if (job.validate) all.push_back(&plan.splits[checkpoint.validation->test.split].plugin);
  return all;
}

bool Isolation::covers(const Plan& plan, const CheckpointJob& job) const {
  return !suspects(plugins_of(plan, job)).empty();
}

std::vector<const ResolvedPlugin*> Isolation::plugins_of(const Plan& plan, const FineTuneJob& job) {
  const Cell& cell = plan.cells[job.cells.front()];
  std::vector<const ResolvedPlugin*> all = plugins_of(plan, CheckpointJob{cell.checkpoint, cell.tests});
  all.push_back(&plan.tuners[cell.tuner]);
  all.push_back(&plan.splits[plan.tasks[cell.task].train].plugin);
  if (cell.noise) {
    for (const NoiseStep& step : plan.task_noises[*cell.noise]) all.push_back(&step.model);
  }
  return all;
}

bool Isolation::covers(const Plan& plan, const FineTuneJob& job) const {
  return !suspects(plugins_of(plan, job)).empty();
}

// Whoever of the isolated plugins it was.
std::string Isolation::suspects(const std::vector<const ResolvedPlugin*>& plugins) const {
  std::vector<std::string> names;
  for (const ResolvedPlugin* plugin : plugins) {
    if (!covers(*plugin)) continue;
    const std::string name = name_of(*plugin);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, " or "));
}

std::unique_ptr<Isolation::Worker> Isolation::take_worker(const std::string& who) const {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(idle_.begin(), idle_.end(), [&](const auto& worker) { return worker->who == who; });
    if (found != idle_.end()) {
      std::unique_ptr<Worker> worker = std::move(*found);
      idle_.erase(found);
      return worker;
    }
  }
  auto worker = std::make_unique<Worker>(who, options_.limits.memory_gb);
  const Surroundings here = surroundings();
  expect(worker->process.call({{"what", "load"},
                               {"libraries", libraries_},
                               {"level", spdlog::get_level()},
                               {"cache", here.cache.string()},
                               {"image_cache_bytes", here.image_cache_bytes},
                               {"threads", here.threads}},
                              0, options_.stop, ignore_progress));
  return worker;
}

void Isolation::give_back(std::unique_ptr<Worker> worker) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
  if (idle_.size() > kIdleWorkers) idle_.erase(idle_.begin());  // unused for longest
}

json Isolation::ask(const std::string& who, json request, ProgressListener* progress) const {
  json answer;
  try {
    std::unique_ptr<Worker> worker = take_worker(who);
    if (!worker->planned && !plan_request_.is_null()) {
      expect(worker->process.call(plan_request_, 0, options_.stop, ignore_progress));
      worker->planned = true;
    }
    request["threads_now"] = at::get_num_threads();
    answer = worker->process.call(request, options_.limits.seconds, options_.stop,
                                  [&](const json& event) { take_event(event, progress); });
    // what one holds that ran out of memory would be missed by the next stage
    if (!answer.contains("error") || !answer.at("no_memory").get<bool>()) give_back(std::move(worker));
  } catch (const WorkerDied& error) {
    for (const std::string& line : error.death.output) spdlog::warn("{} said: {}", who, line);
    const Failure failure{fmt::format("{}: {}", who, error.what()), error.death.killed_from_outside()};
    throw WorkerFailure(failure, /*for_want_of_memory=*/false);
  }
  if (!answer.contains("error")) return answer.at("answer");
  auto failure = answer.at("error").get<Failure>();
  failure.message = fmt::format("{}: {}", who, failure.message);
  const double limit = options_.limits.memory_gb;
  const bool no_memory = answer.at("no_memory").get<bool>();
  if (no_memory && limit > 0) {  // the user's bound, which the same command meets again
    failure = {fmt::format("{}: out of memory (within {:g} GB, --cell-memory)", who, limit), false};
  }
  throw WorkerFailure(failure, no_memory);
}

json Isolation::ask_plugin(const char* what, const ResolvedPlugin& plugin, const json& about) const {
  return ask(
      name_of(plugin),
      {{"what", what},
       {"about", about},
       {"plugin",
        {{"kind", plugin.kind}, {"name", plugin.name}, {"params", plugin.params.values()}, {"where", plugin.where}}}});
}

SplitFacts Isolation::split(const ResolvedPlugin& dataset) const {
  if (!covers(dataset)) return inspector_.split(dataset);
  try {
    return ask_plugin("split", dataset).get<SplitFacts>();
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    SplitFacts facts;
    facts.error = fmt::format("{}: {}", dataset.where.text(), error.what());
    return facts;
  }
}

// Nothing when the plugin fails: it will fail again in its cells, and they say why.
template <typename T>
std::optional<T> Isolation::ask_encoder_or_noise(const char* what, const ResolvedPlugin& plugin,
                                                 const json& about) const {
  try {
    return ask_plugin(what, plugin, about).template get<std::optional<T>>();
  } catch (const WorkerFailure& failure) {
    spdlog::warn("{}: {}", plugin.where.text(), failure.what());
    return std::nullopt;
  }
}

std::optional<bool> Isolation::trainable(const ResolvedPlugin& encoder) const {
  return covers(encoder) ? ask_encoder_or_noise<bool>("trainable", encoder) : inspector_.trainable(encoder);
}

std::optional<InputSpec> Isolation::input(const ResolvedPlugin& encoder) const {
  return covers(encoder) ? ask_encoder_or_noise<InputSpec>("input", encoder) : inspector_.input(encoder);
}

std::optional<std::int64_t> Isolation::feature_dim(const ResolvedPlugin& encoder, const SplitInfo& samples) const {
  if (!covers(encoder)) return inspector_.feature_dim(encoder, samples);
  return ask_encoder_or_noise<std::int64_t>("feature_dim", encoder, samples);
}

std::optional<NoiseFacts> Isolation::noise(const ResolvedPlugin& model) const {
  return covers(model) ? ask_encoder_or_noise<NoiseFacts>("noise_facts", model) : inspector_.noise(model);
}

void Isolation::plan_with(const Recipe& recipe, const Plan& plan) {
  plan_request_ = {{"what", "plan"},
                   {"file", recipe.source.file.string()},
                   {"text", recipe.source.text},
                   {"set", recipe.source.set},
                   {"shard", std::pair(recipe.shard, recipe.shards)},
                   {"only", recipe.cells},
                   {"keep_predictions", plan.keep_predictions},
                   {"keep_probabilities", plan.keep_probabilities},
                   {"answers", recipe.answers},
                   {"cache", recipe.cache.string()},
                   {"device", recipe.device},
                   {"threads", recipe.threads},
                   {"cells", digest_of_cells(plan)}};
}

std::pair<std::int64_t, std::int64_t> Isolation::feature_shape(const Plan& plan, std::size_t checkpoint,
                                                               std::size_t readout, std::size_t split) {
  return ask(name_of(plan.checkpoints[checkpoint].encoder),
             {{"what", "shape"}, {"checkpoint", checkpoint}, {"readout", readout}, {"split", split}})
      .get<std::pair<std::int64_t, std::int64_t>>();
}

TaskLabels Isolation::task_labels(const Plan& plan, std::size_t cell) {
  std::vector<const ResolvedPlugin*> needed = {&plan.splits[plan.tasks[plan.cells[cell].task].train].plugin};
  for (const NoiseStep& step : plan.task_noises[plan.cells[cell].noise.value()]) needed.push_back(&step.model);
  const std::string who = suspects(needed);
  if (who.empty()) return draw_task_labels(plan, plan.cells[cell]);
  return ask(who, {{"what", "task-labels"}, {"trials", plan.trials}, {"cell", cell}}).get<TaskLabels>();
}

NoiseRecord Isolation::known_noise(const Plan& plan, std::size_t checkpoint) {
  return ask(suspects(plugins_of(plan, CheckpointJob{checkpoint, {}})), {{"what", "noise"}, {"checkpoint", checkpoint}})
      .get<NoiseRecord>();
}

CheckpointJobResult Isolation::run_job(const Plan& plan, const CheckpointJob& job, const ArtifactCache& cache,
                                       ProgressListener& progress) {
  CheckpointJobResult result;
  try {
    return ask(suspects(plugins_of(plan, job)), {{"what", "job"}, {"job", job}}, &progress).get<CheckpointJobResult>();
  } catch (...) {
    const Failure failure = failure_of_current_exception();
    const Checkpoint& checkpoint = plan.checkpoints[job.checkpoint];
    const bool in_training = checkpoint.trained() && !cache.has(ArtifactKind::checkpoint, checkpoint.id);
    if (job.encodings.size() == 1 || in_training) {
      for (const std::size_t encoding : job.encodings) result.errors[encoding] = failure;
      return result;
    }
  }
  for (const std::size_t encoding : job.encodings) {
    CheckpointJobResult part = run_job(plan, {job.checkpoint, {encoding}}, cache, progress);
    result.stages.insert(result.stages.end(), part.stages.begin(), part.stages.end());
    if (part.noise) result.noise = part.noise;
    result.errors.merge(part.errors);
  }
  return result;
}

std::int64_t Isolation::stack_bound(const Plan& plan, const std::vector<std::size_t>& cells, const HeadShape& shape) {
  try {
    return ask(name_of(tuner_of_cell(plan, cells.front())),
               {{"what", "bound"}, {"trials", plan.trials}, {"cells", cells}, {"shape", shape}})
        .get<std::int64_t>();
  } catch (...) {
    const std::string why = message_of_current_exception();
    spdlog::warn("it cannot be timed, its heads train one by one: {}", why);
    return 1;
  }
}

StackResult Isolation::run_stack(const Plan& plan, const Stack& stack, torch::Device device) {
  const std::string who = name_of(tuner_of_cell(plan, stack.first_cell()));
  return run_by_halves(plan, device, stack, [&](const Stack& part) {
    std::vector<std::size_t> cells;
    for (const Unit& unit : part.units) cells.insert(cells.end(), unit.cells.begin(), unit.cells.end());
    return ask(who, {{"what", "stack"}, {"trials", plan.trials}, {"stack", part}, {"tuners", tuners_of(plan, cells)}})
        .get<StackResult>();
  });
}

FineTuneResult Isolation::run_fine_tuning(const Plan& plan, const FineTuneJob& job, torch::Device device,
                                          ProgressListener& progress) {
  try {
    const json request = {
        {"what", "fine-tune"}, {"trials", plan.trials}, {"job", job}, {"tuners", tuners_of(plan, job.cells)}};
    return ask(suspects(plugins_of(plan, job)), request, &progress).get<FineTuneResult>();
  } catch (...) {
    const Failure failure = failure_of_current_exception();
    return failed_job(plan, job, device, failure);
  }
}

bool is_isolated(const Isolation* isolation, const ResolvedPlugin& plugin) {
  return isolation != nullptr && isolation->covers(plugin);
}

}  // namespace nmlbench
