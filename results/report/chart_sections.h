// The charts of the report: their headings and captions. What they draw is in figures.h.
#pragma once

#include "results/report/figures.h"

#include <kainjow/mustache.hpp>

namespace nmlbench {

// `figures`: what figures() gave, by id; a chart that it has nothing for says why.
kainjow::mustache::data chart_sections(const Json& figures);

}  // namespace nmlbench
