// What the charts of the report show, as JSON. Averages, intervals and differences are the leaderboard's; the browser
// only draws. Internal to results/report.
//
// Percentages are in percent, every other number is plain; numbers are rounded to what a chart can show.
#pragma once

#include "results/report/axes.h"
#include "results/store/store.h"

#include <string>

namespace nmlbench {

// Everything that the page draws; a figure without data has no rows. "notes" has a sentence for some of them: unit, n,
// intervals. `baseline`: as LeaderboardQuery has it. Throws Error as query_leaderboard() does.
Json figures(const Store& store, const std::string& baseline);

// ---- Parts of figures(), one file each.

// What accuracy costs, mean over everything that a tuner was measured on, of tuners whose time is known:
// {"rows": [[encoder, device, kind, series, seconds per cell, accuracy, half width, 1 on the Pareto front]]}; in
// `notes`, "cost" becomes what its unit is.
Json cost_figure(const Store& store, const Axes& axes, Json& notes);
// Mean singular value spectra, each divided by its sum, at some positions (1-based) that many curves share; null below
// the largest value times the resolution of float32, which is rounding:
// {"indices": [[...]], "rows": [[panel, series (null: the encoder's own features), task, kind, noise rate, which of
// the indices, [values], how many spectra]]}
Json spectrum_figure(const Store& store, const Axes& axes);
// What noise models did, mean over checkpoints; matrices of more than 50 classes are coarsened:
// [{"dataset", "noise", "noise_ratio", "realised", "checkpoints", "classes", "block", "rows": [[...]]}]
Json transition_figure(const Store& store);
// Training loss of heads, mean over seeds, at some epochs (from 1) that many curves share; null where a head diverged:
// {"epochs": [[...]], "rows": [[panel, series, task, noise rate, seeds, which of the epochs, [losses]]]}
Json learning_figure(const Store& store, const Axes& axes);
// What heads took each class for, all seeds together, of the outstanding places of the axes. Classes are put into
// blocks of neighbours where there are many. A row sums to 1, or to 0 where no sample has the class:
// [{"panel", "series", "task", "test_set", "noise_rate", "seeds", "classes", "block", "rows": [[...]]}]
Json confusion_figure(const Store& store, const Axes& axes);

// `value` rounded to `digits` significant digits; null for what is not finite.
Json rounded(double value, int digits = 4);

}  // namespace nmlbench
