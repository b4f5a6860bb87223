// What boards of test samples have in common. Internal to results/.
#pragma once

#include "results/boards/sample_quotes.h"
#include "results/render/typed_table.h"

#include <string>
#include <vector>

namespace nmlbench {

// Adds the samples themselves as a last column, and a note where some are missing, when they were asked for.
inline void add_quotes(Page& page, const SampleQuotes& quotes) {
  if (!quotes.note.empty()) page.notes.push_back(quotes.note);
  if (quotes.texts.empty()) return;
  page.table.columns.push_back({.name = "text", .header = "text"});
  for (std::size_t i = 0; i < page.table.rows.size(); ++i) page.table.rows[i].emplace_back(quotes.texts.at(i));
}

}  // namespace nmlbench
