// The results as one HTML file that needs nothing else: no network, no second file.
#pragma once

#include "results/boards/broken_samples.h"
#include "results/store/store.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace nmlbench {

// What samples look like; results know nothing of data sets.
struct Pictures {
  std::vector<std::string> images;  // for each row a data URI, or "" for none
  std::string note;                 // why some are missing, for the reader; or ""
};
using PictureSource = std::function<Pictures(const BrokenSamples& samples)>;

// The page: summary, leaderboard, charts, noise rates, stages, failures, provenance. Everything from the database is
// escaped.
std::string report_html(const Store& store, const PictureSource& pictures = {});

// Writes the page to `file`, whole or not at all. Throws Error: no cells, `file` cannot be written.
void write_report(const Store& store, const std::filesystem::path& file, const PictureSource& pictures = {});

}  // namespace nmlbench
