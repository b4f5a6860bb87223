#include "results/report/report.h"

#include "chart_min_js.inc"
#include "chartjs-chart-matrix_min_js.inc"
#include "charts_js.inc"
#include "curves_js.inc"
#include "diagnostics_js.inc"
#include "dots_js.inc"
#include "elements_js.inc"
#include "figures_js.inc"
#include "looks_js.inc"
#include "maps_js.inc"
#include "noise_grid_js.inc"
#include "page_css.inc"
#include "page_html_mustache.inc"
#include "results/boards/leaderboard.h"
#include "results/report/broken_samples_section.h"
#include "results/report/chart_sections.h"
#include "results/report/figures.h"
#include "results/report/summary.h"
#include "results/report/table_sections.h"
#include "results/store/database.h"
#include "settings_js.inc"
#include "support/output_file.h"
#include "table_section_html_mustache.inc"
#include "tables_js.inc"

#include <nmlbench/error.h>

#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include <SQLiteCpp/Statement.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <kainjow/mustache.hpp>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace fs = std::filesystem;
namespace mustache = kainjow::mustache;

namespace {

using mustache::data;

data fact(const std::string& name, const std::string& value) {
  data result;
  result["name"] = name;
  result["value"] = value;
  return result;
}

// What others are compared with unless somebody asks for something else: the linear probe, else the first by name, of
// the tuners with one setting. "" where there is none, or nothing to compare with it.
std::string usual_baseline(const Store& store) {
  SQLite::Statement statement(
      store.impl().db,
      "SELECT tuner, count(DISTINCT tuner_id) = 1, (SELECT count(DISTINCT tuner_id) FROM cells WHERE status = 'done'"
      " AND NOT superseded) FROM tuners JOIN cells USING (tuner_id) WHERE status = 'done' AND NOT superseded"
      " GROUP BY tuner ORDER BY 2 DESC, tuner <> 'linear-probe', tuner");
  if (!statement.executeStep() || statement.getColumn(1).getInt() == 0 || statement.getColumn(2).getInt() < 2)
    return "";
  return statement.getColumn(0).getString();
}

// JSON for a <script> element: no "<" of the data can end the element or open a comment.
std::string script_json(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string indented_json(const std::string& text) {
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (json.is_discarded()) return text;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

data provenance(const Store& store) {
  data runs(data::type::list);
  SQLite::Statement statement(store.impl().db,
                              "SELECT matrix, started_at, host, command_line, git_revision, versions_json, cpu, gpu,"
                              " threads, matrix_json, (SELECT count(*) FROM cells c WHERE c.run_id = r.run_id)"
                              " FROM runs r ORDER BY started_at, run_id");
  while (statement.executeStep()) {
    const auto text = [&](int i) { return statement.getColumn(i).getString(); };
    data facts(data::type::list);
    facts << fact("command", text(3)) << fact("revision", text(4)) << fact("versions", text(5))
          << fact("processor", text(6)) << fact("accelerator", text(7).empty() ? "none" : text(7))
          << fact("threads", text(8)) << fact("cells stored", text(10));
    data run;
    run["matrix"] = text(0);
    run["started_at"] = text(1);
    run["host"] = text(2);
    run["facts"] = std::move(facts);
    run["matrix_json"] = indented_json(text(9));
    runs << run;
  }
  return runs;
}

data partial(const char* text) {
  return data{mustache::partial{[text] { return std::string(text); }}};
}

// All of the page's code, in the order in which it needs each other.
std::string scripts() {
  std::string text;
  for (const char* script : {kElementsScript, kLooksScript, kChartsScript, kDotsScript, kCurvesScript, kSettingsScript,
                             kDiagnosticsScript, kMapsScript, kNoiseGridScript, kFiguresScript, kTablesScript}) {
    text += script;
  }
  return text;
}

std::string render_page(const Store& store, const ReportOptions& options) {
  const std::string baseline = options.baseline.empty() ? usual_baseline(store) : options.baseline;
  const Leaderboard board = query_leaderboard(store, {.baseline = baseline});
  const Json charts = figures(store, baseline);
  data page;
  page["title"] = fmt::format("{}", fmt::join(board.matrices, ", "));
  page["written_at"] = fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(std::time(nullptr)));
  page["database"] = store.impl().file.filename().string();
  page["facts"] = summary_facts(store);
  page["findings"] = findings(board);
  page["boards"] = board_sections(board, store);
  page["charts"] = chart_sections(charts);
  page["missing"] = missing_charts(charts);
  page["any_missing"] = data(page.get("missing")->is_non_empty_list());
  page["tables"] = table_sections(store);
  page["broken_samples"] = broken_samples_section(store, options.pictures);
  page["runs"] = provenance(store);
  page["table_section"] = partial(kTableSection);
  page["figures"] = script_json(charts);
  page["css"] = kPageCss;
  page["chart_library"] = kChartLibrary;
  page["matrix_library"] = kMatrixLibrary;
  page["scripts"] = scripts();
  mustache::mustache page_template{kPageTemplate};
  if (!page_template.is_valid()) throw std::logic_error("report template: " + page_template.error_message());
  return page_template.render(page);
}

}  // namespace

std::string report_html(const Store& store, const ReportOptions& options) {
  return with_database_errors(store.impl().file, [&] { return render_page(store, options); });
}

void write_report(const Store& store, const fs::path& file, const ReportOptions& options) {
  write_output(file, report_html(store, options));
}

}  // namespace nmlbench
