// The charts of the report: their headings and captions. What they draw is in figures.h.
#pragma once

#include "results/report/figures.h"

#include <kainjow/mustache.hpp>

namespace nmlbench {

// `figures`: what figures() gave, by id. Those that have something to draw, and the others with the reason.
kainjow::mustache::data chart_sections(const Json& figures);
kainjow::mustache::data missing_charts(const Json& figures);

}  // namespace nmlbench
