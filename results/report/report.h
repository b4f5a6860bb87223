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
  std::vector<std::string> texts;   // for each row the sample itself, where samples are texts, else ""
  std::string note;                 // why some are missing, for the reader; or ""
};
using PictureSource = std::function<Pictures(const BrokenSamples& samples)>;

struct ReportOptions {
  // The tuner that others are compared with, "linear-probe" or "linear-probe (lr=0.1)"; "": the linear probe, else the
  // first by name, of those with one setting.
  std::string baseline = "";
  PictureSource pictures = {};
};

// The page: summary, leaderboard, charts, noise rates, stages, failures, provenance. Everything from the database is
// escaped. Throws Error: no cells, no such baseline.
std::string report_html(const Store& store, const ReportOptions& options = {});

// Writes the page to `file`, whole or not at all. Throws Error as report_html(), and when `file` cannot be written.
void write_report(const Store& store, const std::filesystem::path& file, const ReportOptions& options = {});

}  // namespace nmlbench
