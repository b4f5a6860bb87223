// How fast, and how large, runs of earlier databases were: what `plan --estimate` scales.
#pragma once

#include "results/store/store.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nmlbench {

// The stage runs, of one run of the program, that agree in all of these words; times are as in v_throughput.
struct MeasuredRate {
  std::string stage, encoder, encoder_params, recipe, tuner, tuner_params, task, device, unit;
  std::string precision;              // of encoding
  std::int64_t dim = 0, classes = 0;  // of heads; 0: not known, or several
  int threads = 0;                    // of the run
  std::string machine = {};           // its CPU, or its GPU
  double items = 0, seconds = 0;
  std::int64_t runs = 0, peak_bytes = 0;
};

struct MeasuredRates {
  std::vector<MeasuredRate> rates;
  std::int64_t cells = 0, test_sets = 0, bytes = 0;  // done cells, their test sets, the database's pages
};

// Tuners that take no steps have a rate of unit "heads", of stage "tune": seconds are those of cells. Throws Error as
// every question to a database does.
MeasuredRates query_rates(const Store& store);

}  // namespace nmlbench
