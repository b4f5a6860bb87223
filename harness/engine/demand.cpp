#include "engine/demand.h"

#include "engine/demand_table.h"
#include "engine/encoder_demand.h"
#include "engine/fine_tune_job.h"
#include "engine/isolation.h"
#include "engine/row_counts.h"
#include "plan/planned_cell.h"
#include "plan/trials.h"
#include "registry/registry.h"

#include <nmlbench/gradient_tuner.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace nmlbench {
namespace {

class Counter {
 public:
  Counter(const Plan& plan, const ArtifactCache& cache, Isolation* isolation)
      : plan_(plan), cache_(cache), isolation_(isolation), shapes_(isolation), rows_(plan, isolation) {}

  Demand count(const std::function<bool(const Cell&)>& wanted) {
    std::vector<std::size_t> cells;
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      if (!wanted(plan_.cells[i])) continue;
      if (shape_of(plan_.cells[i]) != nullptr) {
        cells.push_back(i);
      } else {
        ++demand_.cells_that_cannot;
      }
    }
    EncoderDemand encoders(plan_, cache_, isolation_, shapes_, table_, demand_);
    encoders.add(cells);
    add_heads(cells);
    add_fits(cells);
    demand_.cells = static_cast<std::int64_t>(cells.size());
    for (const std::size_t cell : cells)
      demand_.test_sets += static_cast<std::int64_t>(plan_.tasks[plan_.cells[cell].task].tests.size());
    demand_.stages = table_.take();
    say_what_is_inexact(cells, encoders.all_weights_known());
    return std::move(demand_);
  }

 private:
  // Null of a cell that cannot run.
  const EncoderShape* shape_of(const Cell& cell) {
    const auto [place, is_new] = shape_of_.try_emplace({cell.checkpoint, cell.readout, cell.task}, nullptr);
    if (is_new && plan_.obstacle(cell).empty()) {
      const EncoderShape& shape = shapes_.of(plan_, cell);
      if (shape.error.message.empty()) place->second = &shape;
    }
    return place->second;
  }

  // Heads on frozen features, those of trials included.
  void add_heads(const std::vector<std::size_t>& cells) {
    for (const std::size_t index : cells) {
      const Cell& cell = plan_.cells[index];
      if (plan_.tuners[cell.tuner].moves_encoder()) continue;
      add_head(cell, cell.tuner, cell.part, test_rows(cell, /*in_domain_alone=*/false));
      if (!cell.grid) continue;
      ++demand_.choices;
      if (plan_.selection->rule == Selection::Rule::last) continue;
      const std::int64_t parts = plan_.selection->parts();
      for (const std::size_t candidate : plan_.grids[*cell.grid].candidates) {
        if (parts == 0) add_head(cell, candidate, cell.part, test_rows(cell, /*in_domain_alone=*/true));
        for (std::int64_t part = 0; part < parts; ++part)
          add_head(cell, candidate, part, rows_.of(cell, std::nullopt) - rows_.of(cell, part));
      }
    }
  }

  void add_head(const Cell& cell, std::size_t tuner, std::optional<std::int64_t> part, std::int64_t tested) {
    const EncoderShape& shape = *shape_of(cell);
    const std::int64_t classes = plan_.splits[plan_.tasks[cell.task].train].facts.info.classes;
    const std::size_t like = tuner_like(tuner);
    const auto add = [&](DemandKind kind, const char* unit, std::int64_t items) {
      StageDemand& own = table_.stage(kind, like, static_cast<std::size_t>(shape.tokens), shape.dim, classes);
      own.tuner = like;
      own.dim = shape.dim;
      own.tokens = shape.tokens;
      own.classes = classes;
      own.threads = 1;
      own.unit = unit;
      own.items += static_cast<double>(items);
      ++own.parts;
    };
    const std::optional<std::int64_t> steps = steps_of(tuner, rows_.of(cell, part));
    add(DemandKind::fit_heads, steps ? "head-steps" : "heads", steps.value_or(1));
    add(DemandKind::test_heads, "samples", tested);
  }

  // The first tuner that differs from this one in nothing but what the heads of a stack may.
  std::size_t tuner_like(std::size_t tuner) {
    const ResolvedPlugin& own = plan_.tuners[tuner];
    return tuners_.try_emplace(own.name + own.stack_key, tuner).first->second;
  }

  // Nothing for tuners that take none.
  std::optional<std::int64_t> steps_of(std::size_t tuner, std::int64_t rows) {
    const ResolvedPlugin& own = plan_.tuners[tuner];
    const std::string epochs = own.parameter(Role::epochs), batch_size = own.parameter(Role::batch_size);
    if (epochs.empty() || batch_size.empty()) return std::nullopt;
    const std::int64_t batch = std::min(rows, own.params.integer(batch_size));
    if (batch == 0) return 0;
    const std::int64_t rest = rows % batch;
    return own.params.integer(epochs) * (rows / batch + (rest > 0 && rest >= smallest_batch(tuner) ? 1 : 0));
  }

  std::int64_t smallest_batch(std::size_t tuner) {
    const auto [place, is_new] = smallest_batches_.try_emplace(tuner, 1);
    if (is_new && !is_isolated(isolation_, plan_.tuners[tuner])) {
      const std::unique_ptr<Tuner> made = make_tuner(plan_.tuners[tuner]);
      if (const auto* trainer = dynamic_cast<const GradientTuner*>(made.get()))
        place->second = trainer->smallest_batch();
    }
    return place->second;
  }

  std::int64_t test_rows(const Cell& cell, bool in_domain_alone) const {
    std::int64_t rows = 0;
    for (const TestSet& test : plan_.tasks[cell.task].tests) {
      if (!test.ood || !in_domain_alone) rows += plan_.splits[test.split].facts.info.size;
    }
    return rows;
  }

  // Tuners that move the encoder: one fit for all cells that share it.
  void add_fits(const std::vector<std::size_t>& cells) {
    const std::set<std::size_t> wanted(cells.begin(), cells.end());
    add_fits(plan_, [&](std::size_t cell) { return wanted.count(cell) > 0; });
    std::vector<Cell> choosing;
    for (const std::size_t index : cells) {
      const Cell& cell = plan_.cells[index];
      if (cell.grid && plan_.tuners[cell.tuner].moves_encoder()) choosing.push_back(cell);
    }
    if (choosing.empty()) return;  // a plan of many cells is not copied for nothing
    demand_.choices += static_cast<std::int64_t>(choosing.size());
    Plan chosen = plan_;
    chosen.cells = std::move(choosing);
    add_fits(trials_of(chosen).plan, [](std::size_t) { return true; });
  }

  void add_fits(const Plan& plan, const std::function<bool(std::size_t)>& wanted) {
    for (const FineTuneJob& job : fine_tune_jobs(plan, wanted)) {
      const Cell& cell = plan.cells[job.cells.front()];
      const ResolvedPlugin& tuner = plan.tuners[cell.tuner];
      const Split& data = plan.splits[plan.tasks[cell.task].train];
      const std::int64_t rows = rows_.of(cell, cell.part);
      const std::int64_t tested =
          is_scored_on_held_out(plan, cell) ? rows_.of(cell, std::nullopt) - rows : test_rows(cell, plan.trials);
      const auto add = [&](DemandKind kind, const char* unit, std::int64_t items) {
        StageDemand& own =
            table_.stage(kind, cell.checkpoint * plan.tuners.size() + tuner_like(cell.tuner), cell.readout);
        own.encoder = plan.checkpoints[cell.checkpoint].encoder_name();
        own.encoder_params = encoder_params(plan, cell);
        own.recipe = recipe(plan.checkpoints[cell.checkpoint]);
        own.tuner = tuner_like(cell.tuner);
        own.unit = unit;
        own.threads = job_threads(plan, job);
        own.items += static_cast<double>(items);
        ++own.parts;
      };
      add(DemandKind::fit_encoder, DemandTable::unit_of(data), rows * tuner.params.integer("epochs"));
      add(DemandKind::test_encoder, "samples", tested * static_cast<std::int64_t>(job.cells.size()));
    }
  }

  bool differ_in_structure(const Grid& grid) const {
    return std::any_of(grid.candidates.begin(), grid.candidates.end(), [&](std::size_t candidate) {
      return plan_.tuners[candidate].stack_key != plan_.tuners[grid.candidates.front()].stack_key;
    });
  }

  void say_what_is_inexact(const std::vector<std::size_t>& cells, bool all_weights_known) {
    const auto say = [&](bool holds, const char* sentence) {
      if (holds) demand_.inexact.emplace_back(sentence);
    };
    const auto drops = [](const std::vector<NoiseStep>& steps) {
      return std::any_of(steps.begin(), steps.end(),
                         [](const NoiseStep& step) { return step.model.name == "long-tail" || step.model.outside; });
    };
    bool trained_on_fewer = false, tuned_on_fewer = false;
    for (const std::size_t index : cells) {
      const Cell& cell = plan_.cells[index];
      trained_on_fewer = trained_on_fewer || drops(plan_.checkpoints[cell.checkpoint].noise);
      tuned_on_fewer = tuned_on_fewer || (cell.noise && drops(plan_.task_noises[*cell.noise]));
    }
    const bool any_choice = std::any_of(cells.begin(), cells.end(), [&](std::size_t cell) {
      return plan_.cells[cell].grid && differ_in_structure(plan_.grids[*plan_.cells[cell].grid]);
    });
    say(any_choice,
        "candidates that differ in more than heads of a stack may: what is fitted last counts as the first");
    say(trained_on_fewer, "noise that drops samples: images of pre-training are an upper bound");
    say(tuned_on_fewer, "noise that drops rows: steps of heads are an upper bound");
    say(!rows_.exact(), "training data of plugins that are not bundled: rows are rounded by class, here they are not");
    say(!all_weights_known, "encoders of plugins that are not bundled: the bytes of their checkpoints are not known");
  }

  const Plan& plan_;
  const ArtifactCache& cache_;
  Isolation* isolation_;
  EncoderShapes shapes_;
  RowCounts rows_;
  Demand demand_;
  DemandTable table_;
  std::map<std::tuple<std::size_t, std::size_t, std::size_t>, const EncoderShape*> shape_of_;  // checkpoint, ...
  std::map<std::string, std::size_t> tuners_;
  std::map<std::size_t, std::int64_t> smallest_batches_;
};

}  // namespace

Demand demand_of(const Plan& plan, const ArtifactCache& cache, const std::function<bool(const Cell&)>& wanted,
                 Isolation* isolation) {
  return Counter(plan, cache, isolation).count(wanted);
}

}  // namespace nmlbench
