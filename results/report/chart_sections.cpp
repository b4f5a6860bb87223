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
     "Against the realised rate of noise in pre-training; with one level of noise, a row for each setting. Mean over "
     "tasks of means over seeds. Bands and bars are intervals, bands cut where they are much wider than the spread "
     "of the means. Hollow: not measured on everything that others were.",
     "no cell has an accuracy."},
    {"grid", "Noise in pre-training and in the task",
     "Accuracy by the realised rate of noise in pre-training (rows) and the noise of the labels that heads train on "
     "(columns, as asked for; Noise rates has what came out), on clean test labels.",
     "no task was tuned on several levels of label noise, on encoders of several levels."},
    {"tasks", "Each task",
     "The same for each task, in-domain beside out-of-domain: mean over seeds of the mean over test sets.",
     "there is one task."},
    {"settings", "Settings of a tuner",
     "Accuracy against one parameter, each value a step; a dot for each setting, a line through the best of each "
     "value. That best is chosen on the test sets, over all other parameters: it says what a parameter can do, not "
     "what a tuner would score.",
     "every tuner has one setting."},
    {"differences", "Paired differences",
     "Accuracy minus the baseline's on the same encoder, task, test set and seed: right of zero is better than the "
     "baseline.",
     "two tuners have to be measured on the same cells, the baseline with one setting (report --baseline names one of "
     "several)."},
    {"fractions", "Training fraction",
     "Accuracy against the share of the task's training data, mean over the tasks that have every fraction and over "
     "seeds.",
     "every task was tuned on one fraction of its data."},
    {"cost", "Accuracy and cost",
     "Accuracy, mean over everything that a setting was measured on, noise levels and fractions too, against the "
     "time of one cell: its share of the time in which its stack of heads was fitted and tested. The dashed front "
     "joins what nothing else beats in both; the thin line is the front of one tuner's settings.",
     "no cell has its time."},
    {"learning", "Learning curves",
     "Training loss of heads by epoch, mean over seeds. Losses of different tuners have different terms and do not "
     "compare.",
     "no cell has its losses."},
    {"features", "Features and accuracy",
     "Singular value entropy and largest singular value ratio of the tuned features, mean over tasks and seeds. A "
     "line goes through the levels of noise; the larger the marker, the more noise.",
     "no cell has feature metrics."},
    {"spectra", "Singular values",
     "Singular values of the centred features, divided by their sum, mean over seeds and test sets; how many is with "
     "the numbers. Axes end where float32 does: values below 1.2e-7 of the largest are rounding.",
     "no spectra were stored."},
    {"confusion", "Confusion matrices",
     "What heads took each class for: the share of the test samples of each true class (row) that became each "
     "predicted class (column), all seeds together, with the least and the most noise. Of each tuner the setting "
     "that comes first on the leaderboard.",
     "no cell has its confusion matrix."},
    {"transitions", "Transition matrices",
     "What the noise model did to the labels of pre-training: the share of each true class (row) that became each "
     "noisy class (column), mean over checkpoints.",
     "no label of a checkpoint was changed."},
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
    if (is_empty(figures[chart.id])) continue;
    data section;
    section["id"] = chart.id;
    section["heading"] = chart.heading;
    section["caption"] = chart.caption;
    section["note"] = data(figures["notes"].value(chart.id, ""));
    sections << section;
  }
  return sections;
}

data missing_charts(const Json& figures) {
  data list(data::type::list);
  for (const ChartSection& chart : kCharts) {
    if (!is_empty(figures[chart.id])) continue;
    data missing;
    missing["id"] = chart.id;
    missing["heading"] = chart.heading;
    missing["why"] = chart.empty_text;
    list << missing;
  }
  return list;
}

}  // namespace nmlbench
