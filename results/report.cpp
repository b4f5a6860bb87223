#include "report.h"

#include "database.h"
#include "leaderboard.h"
#include "leaderboard_table.h"
#include "report_html_mustache.inc"

#include <nmlbench/error.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <SQLiteCpp/Statement.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <kainjow/mustache.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace nmlbench {

namespace fs = std::filesystem;
namespace mustache = kainjow::mustache;

namespace {

using mustache::data;

// Mustache looks a missing name up in the enclosing scope: every name that a template asks for is set.
data section(const std::string& heading, const TextTable& table, const std::vector<std::string>& notes,
             const std::string& empty_text) {
  data result;
  result["heading"] = heading;
  data lines(data::type::list);
  for (const std::string& note : notes) lines << data(note);
  result["notes"] = std::move(lines);
  result["empty"] = table.rows.empty() ? data(empty_text) : data(false);
  if (table.rows.empty()) {
    result["table"] = data(false);
    return result;
  }
  data headers(data::type::list);
  for (const auto& column : table.columns) {
    data header;
    header["text"] = column.header;
    header["right"] = data(column.align_right);
    headers << header;
  }
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
  data inner;
  inner["headers"] = std::move(headers);
  inner["rows"] = std::move(rows);
  result["table"] = std::move(inner);
  return result;
}

data section(const std::string& heading, const Leaderboard& board) {
  return section(heading, table_for_people(board), notes(board), "");
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
                         : column.isFloat() ? fmt::format("{:.4g}", column.getDouble())
                                            : column.getString();
      row.push_back(text.empty() ? "-" : std::move(text));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

data fact(const std::string& name, const std::string& value) {
  data result;
  result["name"] = name;
  result["value"] = value;
  return result;
}

std::int64_t number(const Store& store, const char* sql) {
  SQLite::Statement statement(store.impl().db, sql);
  statement.executeStep();
  return statement.getColumn(0).getInt64();
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

Leaderboard board_by_task(const Store& store, const Leaderboard& board) {
  LeaderboardQuery query;
  query.group_by = board.group_by;
  query.group_by.insert(query.group_by.begin(), "task");
  query.sort = "task";
  return query_leaderboard(store, query);
}

data all_sections(const Store& store, const Leaderboard& board) {
  data sections(data::type::list);
  sections << section("Leaderboard", board) << section("By task", board_by_task(store, board));
  sections << section("Throughput",
                      query_table(store,
                                  "SELECT stage, encoder, tuner, task, device, count(*) AS runs, sum(items) AS"
                                  " items, unit, sum(seconds) AS seconds, sum(items) / nullif(sum(seconds), 0)"
                                  " AS per_second, max(peak_bytes) / 1048576.0 AS peak_MiB FROM v_throughput"
                                  " GROUP BY stage, encoder, tuner, task, device, unit"),
                      {"Sums over the stage runs of a row; device-synchronised time, warm-up excluded."},
                      "No stage was timed.");
  sections << section("Noise",
                      query_table(store,
                                  "SELECT encoder, pretrain_dataset, noise, noise_ratio AS asked, seed,"
                                  " realised_rate AS realised FROM v_noise ORDER BY encoder, pretrain_dataset,"
                                  " noise, noise_ratio, seed"),
                      {"Share of pre-training targets that were really changed."},
                      "No checkpoint has corrupted targets.");
  sections << section("Failures",
                      query_table(store,
                                  "SELECT message, count(*) AS cells, min(encoder) AS encoder, min(noise) AS"
                                  " noise, min(tuner) AS tuner, min(task) AS task, min(cell_id) AS example"
                                  " FROM v_results WHERE status = 'failed' GROUP BY message ORDER BY cells DESC"),
                      {}, "No cell failed.");
  return sections;
}

std::string render_page(const Store& store) {
  const Leaderboard board = query_leaderboard(store, {});
  data page;
  page["title"] = fmt::format("{}", fmt::join(board.matrices, ", "));
  page["written_at"] = fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(std::time(nullptr)));
  page["database"] = store.impl().file.filename().string();
  page["facts"] = summary_facts(store);
  page["sections"] = all_sections(store, board);
  page["runs"] = provenance(store);
  mustache::mustache page_template{kReportTemplate};
  if (!page_template.is_valid()) throw std::logic_error("report template: " + page_template.error_message());
  return page_template.render(page);
}

}  // namespace

std::string report_html(const Store& store) {
  return with_database_errors(store.impl().file, [&] { return render_page(store); });
}

void write_report(const fs::path& db, const fs::path& file) {
  const std::string page = report_html(Store::open_read_only(db));
  const fs::path partial = fmt::format("{}.{}.partial", file.string(), getpid());
  std::ofstream stream(partial, std::ios::binary);
  stream << page;
  stream.close();
  std::error_code error;
  if (stream) fs::rename(partial, file, error);
  if (stream && !error) return;
  std::error_code ignored;
  fs::remove(partial, ignored);
  throw Error(fmt::format("{}: cannot be written{}; check the folder, its permissions and free space", file.string(),
                          error ? " (" + error.message() + ")" : ""));
}

}  // namespace nmlbench
