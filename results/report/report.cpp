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
#include "results/render/leaderboard_table.h"
#include "results/report/figures.h"
#include "results/store/database.h"
#include "support/output_file.h"
#include "table_section_html_mustache.inc"
#include "tables_js.inc"

#include <nmlbench/error.h>

#include <cmath>
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

// ---- Tables

struct TableSection {
  std::string id, heading;
  TextTable table;
  std::vector<std::string> notes;
  std::string empty_text;        // instead of a table without rows
  std::size_t first_choice = 0;  // columns [first_choice, last_choice) get a filter; none: the table has none
  std::size_t last_choice = 0;
};

data header_data(const TableSection& section) {
  data headers(data::type::list);
  for (std::size_t i = 0; i < section.table.columns.size(); ++i) {
    data header;
    header["text"] = section.table.columns[i].header;
    header["right"] = data(section.table.columns[i].align_right);
    header["choice"] = data(section.first_choice <= i && i < section.last_choice);
    headers << header;
  }
  return headers;
}

data row_data(const TextTable& table) {
  data rows(data::type::list);
  for (const auto& texts : table.rows) {
    data cells(data::type::list);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const bool is_long = texts[i].size() > 60;
      data cell;
      cell["text"] = texts[i];
      cell["class"] = is_long ? data("wrap") : table.columns[i].align_right ? data("right") : data(false);
      cells << cell;
    }
    data row;
    row["cells"] = std::move(cells);
    rows << row;
  }
  return rows;
}

// Mustache looks a missing name up in the enclosing scope: every name that a template asks for is set.
data to_data(const TableSection& section) {
  data result;
  result["id"] = section.id;
  result["heading"] = section.heading;
  data lines(data::type::list);
  for (const std::string& note : section.notes) lines << data(note);
  result["notes"] = std::move(lines);
  const bool empty = section.table.rows.empty();
  result["empty"] = empty ? data(section.empty_text) : data(false);
  if (empty) {
    result["table"] = data(false);
    return result;
  }
  data table;
  table["filterable"] = data(section.first_choice < section.last_choice);
  table["headers"] = header_data(section);
  table["rows"] = row_data(section.table);
  result["table"] = std::move(table);
  return result;
}

std::string short_number(double value) {
  return std::abs(value) >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

std::int64_t number(const Store& store, const char* sql) {
  SQLite::Statement statement(store.impl().db, sql);
  statement.executeStep();
  return statement.getColumn(0).getInt64();
}

// A whole query as a table; numbers are right-aligned and shortened.
TextTable query_table(const Store& store, const std::string& sql) {
  SQLite::Statement statement(store.impl().db, sql);
  TextTable table;
  for (int i = 0; i < statement.getColumnCount(); ++i) table.columns.push_back({statement.getColumnName(i), false});
  while (statement.executeStep()) {
    std::vector<std::string> row;
    for (int i = 0; i < statement.getColumnCount(); ++i) {
      const SQLite::Column column = statement.getColumn(i);
      if (column.isInteger() || column.isFloat()) table.columns[static_cast<std::size_t>(i)].align_right = true;
      std::string text = column.isNull()    ? ""
                         : column.isFloat() ? short_number(column.getDouble())
                                            : column.getString();
      row.push_back(text.empty() ? "-" : std::move(text));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

TableSection leaderboard_section(const Leaderboard& board) {
  return {"leaderboard", "Leaderboard", table_for_people(board), notes(board), "", 1, 1 + board.group_by.size()};
}

TableSection effect_section(const Store& store) {
  TableSection section{"effect", "Effect of noise", {}, {}, "No finished cell has features of noisy pre-training."};
  const char* any_noise =
      "SELECT EXISTS (SELECT 1 FROM v_results WHERE metric = 'accuracy' AND noise_ratio > 0 AND value IS NOT NULL)";
  if (number(store, any_noise) == 0) return section;
  const NoiseEffect effect = query_noise_effect(store, {});
  section.table = table_for_people(effect);
  section.notes = notes(effect);
  section.last_choice = effect.group_by.size();
  return section;
}

TableSection stage_section(const Store& store) {
  return {"stages",
          "Stages",
          query_table(store,
                      "SELECT stage, encoder, tuner, task, device, count(*) AS runs, sum(items) AS items, unit,"
                      " sum(seconds) AS seconds, sum(items) / nullif(sum(seconds), 0) AS per_second,"
                      " max(peak_bytes) / 1048576.0 AS peak_MiB FROM v_throughput"
                      " GROUP BY stage, encoder, tuner, task, device, unit"),
          {"Sums over the stage runs of a row; device-synchronised time, warm-up excluded."},
          "No stage was timed.",
          0,
          5};
}

TableSection noise_section(const Store& store) {
  return {"noise-rates",
          "Noise rates",
          query_table(store,
                      "SELECT encoder, pretrain_dataset, noise, noise_ratio AS asked, seed, realised_rate AS realised"
                      " FROM v_noise ORDER BY encoder, pretrain_dataset, noise, noise_ratio, seed"),
          {"Share of pre-training targets that were really changed."},
          "No checkpoint has corrupted targets.",
          0,
          4};
}

TableSection failure_section(const Store& store) {
  return {"failures",
          "Failures",
          query_table(store,
                      "SELECT message, count(*) AS cells, min(encoder) AS encoder, min(noise) AS noise, min(tuner) AS"
                      " tuner, min(task) AS task, min(cell_id) AS example FROM v_results WHERE status = 'failed'"
                      " GROUP BY message ORDER BY cells DESC"),
          {},
          "No cell failed."};
}

// ---- Summary

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
  for (const auto& [name, sql] : queries) facts << fact(name, fmt::to_string(number(store, sql)));
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
    if (!best->labels[i].empty()) parts.push_back(fmt::format("{} {}", board.group_by[i], best->labels[i]));
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

// ---- Charts

struct ChartSection {
  const char* id;  // of the figure as well
  const char* heading;
  const char* caption;
  const char* empty_text;
};

constexpr ChartSection kCharts[] = {
    {"noise", "Accuracy and noise",
     "Mean over tasks; the band is the 95 % interval over seeds, cut where it is much wider than the spread of the"
     " means. Hollow: not measured on everything that others were.",
     "No cell has an accuracy yet."},
    {"tasks", "Each task", "The same for each task, in-domain beside out-of-domain.", "There is one task."},
    {"differences", "Paired differences",
     "Accuracy minus the baseline's on the same encoder, task, test set and seed, with the 95 % interval over seeds:"
     " right of zero is better than the baseline.",
     "Needs two tuners that were measured on the same cells."},
    {"features", "Features and accuracy",
     "Singular value entropy and largest singular value ratio of the tuned features. A line goes through the noise"
     " ratios; the larger the marker, the more noise.",
     "No cell has feature metrics."},
    {"spectra", "Singular values",
     "Singular values of the centred features, divided by their sum, mean over seeds and test sets.",
     "No spectra were stored."},
    {"fractions", "Training fraction",
     "Accuracy against the share of the task's training data. Only tasks that have every fraction.",
     "Every task was tuned on one fraction of its data."},
    {"cost", "Accuracy and cost",
     "Accuracy, mean over everything that a tuner was measured on, against the time of one cell: its share of the time "
     "in"
     " which its stack of heads was fitted and tested. The dashed front joins the tuners that no other beats in both.",
     "No cell has its time."},
    {"transitions", "Transition matrices",
     "What the noise model did to the labels of pre-training: the share of each true class (row) that became each"
     " noisy class (column), mean over checkpoints.",
     "No label of a checkpoint was changed."},
};

bool is_empty(const Json& figure) {
  for (const char* part : {"rows", "lines"}) {
    if (figure.is_object() && figure.contains(part)) return figure[part].empty();
  }
  return figure.empty();
}

data chart_sections(const Json& figures) {
  data sections(data::type::list);
  for (const ChartSection& chart : kCharts) {
    data section;
    section["id"] = chart.id;
    section["heading"] = chart.heading;
    section["caption"] = chart.caption;
    section["empty"] = is_empty(figures[chart.id]) ? data(chart.empty_text) : data(false);
    sections << section;
  }
  return sections;
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

// ---- Provenance

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

std::string render_page(const Store& store) {
  const Leaderboard board = query_leaderboard(store, {});
  const Json charts = figures(store);
  data tables(data::type::list);
  for (const TableSection& section : {noise_section(store), stage_section(store), failure_section(store)}) {
    tables << to_data(section);
  }
  data page;
  page["title"] = fmt::format("{}", fmt::join(board.matrices, ", "));
  page["written_at"] = fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(std::time(nullptr)));
  page["database"] = store.impl().file.filename().string();
  page["facts"] = summary_facts(store);
  page["findings"] = findings(board);
  data boards(data::type::list);
  boards << to_data(leaderboard_section(board)) << to_data(effect_section(store));
  page["boards"] = std::move(boards);
  page["charts"] = chart_sections(charts);
  page["tables"] = std::move(tables);
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

std::string report_html(const Store& store) {
  return with_database_errors(store.impl().file, [&] { return render_page(store); });
}

void write_report(const fs::path& db, const fs::path& file) {
  write_output(file, report_html(Store::open_read_only(db)));
}

}  // namespace nmlbench
