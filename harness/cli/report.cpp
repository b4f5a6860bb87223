#include "results/report/report.h"

#include "cli/cli.h"

#include <fmt/format.h>

namespace nmlbench::cli {
namespace {

struct ReportOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  std::filesystem::path out = "report.html";
};

int make_report(const ReportOptions& options) {
  write_report(options.db, options.out);
  fmt::print("{}\n", options.out.string());
  return kDone;
}

}  // namespace

void add_report(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("report", "Write the results as one HTML file");
  auto options = std::make_shared<ReportOptions>();
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_option("-o,--output", options->out, "HTML file to write")->capture_default_str();
  verb->callback([&action, options] { action = [options] { return make_report(*options); }; });
}

}  // namespace nmlbench::cli
