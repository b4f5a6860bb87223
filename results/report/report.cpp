#include "results/report/report.h"

#include "chart_min_js.inc"
#include "chartjs-chart-matrix_min_js.inc"
#include "charts_js.inc"
#include "elements_js.inc"
#include "figures_js.inc"
#include "looks_js.inc"
#include "page_css.inc"
#include "page_html_mustache.inc"
#include "results/boards/leaderboard.h"
#include "results/report/broken_samples_section.h"
#include "results/report/chart_sections.h"
#include "results/report/figures.h"
#include "results/report/table_sections.h"
#include "results/store/database.h"
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

data summary_facts(const Store& store) {
  data facts(data::type::list);
  const std::pair<const char*, const char*> queries[] = {
      {"cells done", "SELECT count(*) FROM cells WHERE status = 'done'"},
      {"cells failed", "SELECT count(*) FROM cells WHERE status = 'failed'"},
      {"encoders", "SELECT count(DISTINCT encoder || encoder_params) FROM sources"},
      {"tuners", "SELECT count(DISTINCT tuner) FROM tuners"},
      {"tasks", "SELECT count(DISTINCT task) FROM cells"},
      {"seeds", "SELECT count(DISTINCT seed) FROM cells"},
      {"runs", "SELECT count(*) FROM runs"}};
  for (const auto& [name, sql] : queries) facts << fact(name, fmt::to_string(count_of(store.impl().db, sql)));
  return facts;
}

// "Best in-domain: 71.2 ± 1.3 % by tuner nmtune, noise symmetric, noise_ratio 0"; "" when nothing is ranked.
std::string best_of(const Leaderboard& board, const char* name, std::optional<Score> LeaderboardRow::*score) {
  const LeaderboardRow* best = nullptr;
  for (const LeaderboardRow& row : board.rows) {
    if (!row.complete || !(row.*score)) continue;
    if (best == nullptr || (row.*score)->mean > (best->*score)->mean) best = &row;
  }
  if (best == nullptr) return "";
  const Score& value = *(best->*score);
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < board.group_by.size(); ++i) {
    const std::string& label = best->key[i].label;
    if (!label.empty()) parts.push_back(fmt::format("{} {}", board.group_by[i], label));
  }
  const std::string interval = value.half_width ? fmt::format(" ± {:.1f}", 100.0 * *value.half_width) : "";
  return fmt::format("Best {}: {:.1f}{} % by {}.", name, 100.0 * value.mean, interval, fmt::join(parts, ", "));
}

data findings(const Leaderboard& board) {
  data lines(data::type::list);
  for (const std::string& line :
       {best_of(board, "in-domain", &LeaderboardRow::id), best_of(board, "out-of-domain", &LeaderboardRow::ood)}) {
    if (!line.empty()) lines << data(line);
  }
  return lines;
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

std::string render_page(const Store& store, const PictureSource& pictures) {
  const Leaderboard board = query_leaderboard(store, {});
  const Json charts = figures(store);
  data page;
  page["title"] = fmt::format("{}", fmt::join(board.matrices, ", "));
  page["written_at"] = fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(std::time(nullptr)));
  page["database"] = store.impl().file.filename().string();
  page["facts"] = summary_facts(store);
  page["findings"] = findings(board);
  page["boards"] = board_sections(board, store);
  page["charts"] = chart_sections(charts);
  page["tables"] = table_sections(store);
  page["broken_samples"] = broken_samples_section(store, pictures);
  page["runs"] = provenance(store);
  page["table_section"] = partial(kTableSection);
  page["figures"] = script_json(charts);
  page["css"] = kPageCss;
  page["chart_library"] = kChartLibrary;
  page["matrix_library"] = kMatrixLibrary;
  page["elements"] = kElementsScript;
  page["looks"] = kLooksScript;
  page["charts_script"] = kChartsScript;
  page["figures_script"] = kFiguresScript;
  page["tables_script"] = kTablesScript;
  mustache::mustache page_template{kPageTemplate};
  if (!page_template.is_valid()) throw std::logic_error("report template: " + page_template.error_message());
  return page_template.render(page);
}

}  // namespace

std::string report_html(const Store& store, const PictureSource& pictures) {
  return with_database_errors(store.impl().file, [&] { return render_page(store, pictures); });
}

void write_report(const Store& store, const fs::path& file, const PictureSource& pictures) {
  write_output(file, report_html(store, pictures));
}

}  // namespace nmlbench
