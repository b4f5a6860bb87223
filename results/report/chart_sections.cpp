#include "results/report/chart_sections.h"

namespace nmlbench {

using kainjow::mustache::data;

namespace {

struct ChartSection {
  const char* id;  // of the figure as well
  const char* heading;
  const char* caption;
  const char* empty_text;
};

constexpr ChartSection kCharts[] = {
    {"noise", "Accuracy and noise",
     "Against the realised rate of noise in pre-training. Mean over tasks; the band is the 95 % interval over seeds, "
     "cut where it is much wider than the spread of the"
     " means. Hollow: not measured on everything that others were.",
     "No accuracy is of an encoder whose noise in pre-training is known; features that others froze have it `stated`."},
    {"tasks", "Each task", "The same for each task, in-domain beside out-of-domain.",
     "There is one task, or no noise is known."},
    {"differences", "Paired differences",
     "Accuracy minus the baseline's on the same encoder, task, test set and seed, with the 95 % interval over seeds:"
     " right of zero is better than the baseline.",
     "Needs two tuners that were measured on the same cells."},
    {"features", "Features and accuracy",
     "Singular value entropy and largest singular value ratio of the tuned features. A line goes through the noise"
     " ratios; the larger the marker, the more noise.",
     "No cell has feature metrics."},
    {"spectra", "Singular values",
     "Singular values of the centred features, divided by their sum, mean over seeds and test sets.",
     "No spectra were stored."},
    {"fractions", "Training fraction",
     "Accuracy against the share of the task's training data. Only tasks that have every fraction.",
     "Every task was tuned on one fraction of its data."},
    {"cost", "Accuracy and cost",
     "Accuracy, mean over everything that a tuner was measured on, against the time of one cell: its share of the time "
     "in"
     " which its stack of heads was fitted and tested. The dashed front joins the tuners that no other beats in both.",
     "No cell has its time."},
    {"transitions", "Transition matrices",
     "What the noise model did to the labels of pre-training: the share of each true class (row) that became each"
     " noisy class (column), mean over checkpoints.",
     "No label of a checkpoint was changed."},
};

bool is_empty(const Json& figure) {
  for (const char* part : {"rows", "lines"}) {
    if (figure.is_object() && figure.contains(part)) return figure[part].empty();
  }
  return figure.empty();
}

}  // namespace

data chart_sections(const Json& figures) {
  data sections(data::type::list);
  for (const ChartSection& chart : kCharts) {
    data section;
    section["id"] = chart.id;
    section["heading"] = chart.heading;
    section["caption"] = chart.caption;
    section["empty"] = is_empty(figures[chart.id]) ? data(chart.empty_text) : data(false);
    sections << section;
  }
  return sections;
}

}  // namespace nmlbench
