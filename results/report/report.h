// The results as one HTML file that needs nothing else: no network, no second file.
#pragma once

#include "results/store/store.h"

#include <filesystem>
#include <string>

namespace nmlbench {

// The page: summary, leaderboard, charts, noise rates, stages, failures, provenance. Everything from the database is
// escaped.
std::string report_html(const Store& store);

// Writes the page of database `db` to `file`, whole or not at all. Throws Error: no such database, no cells, `file`
// cannot be written.
void write_report(const std::filesystem::path& db, const std::filesystem::path& file);

}  // namespace nmlbench
