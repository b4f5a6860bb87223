#include "cli/report_verb.h"

#include <nmlbench/error.h>

#include <fmt/format.h>

namespace nmlbench::cli {
namespace {

struct ReportVerb {
  std::filesystem::path db = "nmlbench.sqlite";
  std::filesystem::path out = "report.html";
  std::string baseline;
  bool images = false;
};

int make_report(const Globals& globals, const ReportVerb& options, const MakePictures& pictures) {
  const Store store = Store::open_read_only(options.db);
  if (options.images && !pictures) throw Error("bug: --images is for nmlbench-engine");
  // drawing may change the current folder
  const std::filesystem::path out = options.images ? std::filesystem::absolute(options.out) : options.out;
  write_report(store, out, {options.baseline, options.images ? pictures(globals, store) : PictureSource()});
  fmt::print("{}\n", options.out.string());
  return kDone;
}

}  // namespace

void add_report_verb(CLI::App& app, Globals& globals, Action& action, const MakePictures& pictures) {
  auto* verb = app.add_subcommand("report", "Write the results as one HTML file");
  auto options = std::make_shared<ReportVerb>();
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_option("-o,--output", options->out, "HTML file to write")->capture_default_str();
  verb->add_option("--baseline", options->baseline,
                   "Tuner that others are compared with, or one of its settings: \"linear-probe (lr=0.1)\" [the linear "
                   "probe, else the first, of tuners with one setting]");
  verb->add_flag(kImagesOption, options->images,
                 "With pictures of the test samples that noise broke, out of the data sets of the recorded matrix");
  verb->callback([&globals, &action, options, pictures] {
    action = [&globals, options, pictures] { return make_report(globals, *options, pictures); };
  });
}

void add_report(CLI::App& app, Globals& globals, Action& action) {
  add_report_verb(app, globals, action, nullptr);
}

}  // namespace nmlbench::cli
