#include "cli/cli.h"
#include "results/render/cell_details.h"

#include <fmt/format.h>

namespace nmlbench::cli {
namespace {

struct ShowOptions {
  std::filesystem::path db = "nmlbench.sqlite";
  std::string cell;
  bool json = false;
};

int show(const ShowOptions& options) {
  const Store store = Store::open_read_only(options.db);
  const std::string id = find_cell(store, options.cell);
  fmt::print("{}", options.json ? cell_json(store, id) : cell_text(store, id));
  return kDone;
}

}  // namespace

void add_show(CLI::App& app, Globals&, Action& action) {
  auto* verb = app.add_subcommand("show", "Everything that is known of one cell");
  auto options = std::make_shared<ShowOptions>();
  verb->add_option("cell", options->cell, "Its id, or the beginning of it")->required();
  verb->add_option("--db", options->db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb->add_flag("--json", options->json, "As JSON, nothing shortened");
  verb->callback([&action, options] { action = [options] { return show(*options); }; });
}

}  // namespace nmlbench::cli
