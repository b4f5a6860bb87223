#include "results/render/cell_details.h"

#include "records/columns.h"
#include "results/render/text_table.h"
#include "results/store/database.h"

#include <nmlbench/error.h>
#include <nmlbench/printable.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <SQLiteCpp/Statement.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kLargestPrintedMatrix = 20;  // classes of a confusion matrix that still fits on a screen
constexpr std::size_t kLongestPrintedList = 12;

// ---- From the database

Json parsed(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json(text) : json;
}

Json column_json(const SQLite::Column& column) {
  if (column.isNull()) return nullptr;
  if (column.isInteger()) return column.getInt64();
  if (column.isFloat()) return column.getDouble();
  if (column.isBlob()) {
    std::vector<float> values(static_cast<std::size_t>(column.getBytes()) / sizeof(float));
    std::memcpy(values.data(), column.getBlob(), values.size() * sizeof(float));
    Json list = Json::array();
    for (const float value : values) list.push_back(std::isfinite(value) ? Json(value) : Json(nullptr));
    return list;
  }
  return column.getString();
}

// The rows of a query with one parameter, as objects by column name.
Json rows(const Store& store, const std::string& sql, const std::string& parameter) {
  SQLite::Statement statement(store.impl().db, sql);
  statement.bind(1, parameter);
  Json result = Json::array();
  while (statement.executeStep()) {
    Json row = Json::object();
    for (int i = 0; i < statement.getColumnCount(); ++i) {
      row[statement.getColumnName(i)] = column_json(statement.getColumn(i));
    }
    result.push_back(std::move(row));
  }
  return result;
}

Json test_sets(const Store& store, const std::string& id) {
  Json result = Json::array();
  for (const Json& metric : rows(store,
                                 "SELECT test_set, test_kind, metric, value FROM v_results WHERE cell_id = ?"
                                 " AND metric IS NOT NULL ORDER BY test_kind, test_set, metric",
                                 id)) {
    if (result.empty() || result.back()["test_set"] != metric["test_set"] ||
        result.back()["test_kind"] != metric["test_kind"]) {
      result.push_back(
          {{"test_set", metric["test_set"]}, {"test_kind", metric["test_kind"]}, {"metrics", Json::object()}});
    }
    result.back()["metrics"][metric["metric"].get<std::string>()] = metric["value"];
  }
  for (Json& test_set : result) {
    const std::string name = test_set["test_set"].get<std::string>();
    for (const Json& matrix : rows(store,
                                   "SELECT classes, counts, test_set FROM confusion JOIN cells USING (cell)"
                                   " WHERE cell_id = ?",
                                   id)) {
      if (matrix["test_set"] != name) continue;
      test_set["classes"] = matrix["classes"];
      test_set["confusion"] = parsed(matrix["counts"].get<std::string>());
    }
    Json classes = Json::array();
    for (Json row : rows(store, "SELECT * FROM v_class_accuracy WHERE cell_id = ?", id)) {
      if (row["test_set"] == name) {
        classes.push_back({{"label", row["label"]}, {"samples", row["samples"]}, {"accuracy", row["accuracy"]}});
      }
    }
    test_set["class_accuracy"] = std::move(classes);
  }
  return result;
}

Json details(const Store& store, const std::string& id) {
  Json cell = rows(store, "SELECT * FROM v_cells WHERE cell_id = ?", id).at(0);
  for (const char* name : {"encoder_params", "tuner_params"}) cell[name] = parsed(cell[name].get<std::string>());
  cell["test_sets"] = test_sets(store, id);
  cell["candidates"] = rows(store,
                            "SELECT candidate, params, accuracy, loss, status, message, chosen FROM v_selection"
                            " WHERE cell_id = ? ORDER BY candidate",
                            id);
  for (Json& candidate : cell["candidates"]) candidate["params"] = parsed(candidate["params"].get<std::string>());
  const Json curve = rows(store, "SELECT loss FROM curves JOIN cells USING (cell) WHERE cell_id = ?", id);
  cell["loss_curve"] = curve.empty() ? Json(nullptr) : curve[0]["loss"];
  cell["spectra"] = rows(store,
                         "SELECT test_set, space, center, samples, singular_values FROM spectra JOIN cells USING (cell)"
                         " WHERE cell_id = ? ORDER BY test_set, space, center",
                         id);
  cell["realised_noise"] = rows(store,
                                "SELECT n.noise, n.noise_ratio, n.seed, n.realised_rate, n.transition, n.validation,"
                                " n.upstream_samples, n.upstream_accuracy FROM noise n"
                                " JOIN cells c USING (checkpoint_id) WHERE c.cell_id = ?",
                                id);
  for (Json& noise : cell["realised_noise"]) {
    if (noise["transition"].is_string()) noise["transition"] = parsed(noise["transition"].get<std::string>());
  }
  cell["stages"] =
      rows(store,
           "SELECT g.stage, count(*) AS runs, sum(g.items) AS items, g.unit, sum(g.seconds) AS seconds,"
           " sum(g.items) / nullif(sum(g.seconds), 0) AS per_second, max(g.peak_bytes) AS peak_bytes"
           " FROM cells c JOIN sources s USING (source_id) JOIN tuners t USING (tuner_id)"
           " JOIN stages g ON g.run_id = c.run_id AND g.encoder = s.encoder AND g.tuner IN ('', t.tuner)"
           " AND g.task IN ('', c.task) WHERE c.cell_id = ? GROUP BY g.stage, g.unit ORDER BY min(g.ordinal)",
           id);
  cell["provenance"] = rows(store,
                            "SELECT r.matrix, r.command_line, r.git_revision, r.versions_json AS versions, r.host,"
                            " r.cpu, r.gpu, r.threads, r.started_at FROM runs r JOIN cells USING (run_id)"
                            " WHERE cell_id = ?",
                            id)
                           .at(0);
  cell["log"] = rows(
      store,
      "SELECT l.at, l.level, l.message FROM log l JOIN cells c USING (run_id) WHERE c.cell_id = ? ORDER BY l.ordinal",
      id);
  cell["provenance"]["versions"] = parsed(cell["provenance"]["versions"].get<std::string>());
  return cell;
}

// ---- For people

std::string text_of(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) return printable(value.get<std::string>());
  if (value.is_number_float()) return fmt::format("{:.5g}", value.get<double>());
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string heading(const std::string& text) {
  return fmt::format("\n{}\n", text);
}

// "name  value" lines.
std::string facts(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::size_t width = 0;
  for (const auto& [name, value] : pairs) width = std::max(width, display_width(name));
  std::string text;
  for (const auto& [name, value] : pairs) text += fmt::format("  {:<{}}  {}\n", name, width, value);
  return text;
}

std::string indented(const std::string& table) {
  std::string text;
  std::size_t begin = 0;
  for (std::size_t end = table.find('\n'); end != std::string::npos; end = table.find('\n', begin)) {
    text += "  " + table.substr(begin, end - begin + 1);
    begin = end + 1;
  }
  return text;
}

// "1.61 1.20 ... 0.35": both ends of a long list.
std::string short_list(const Json& values) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool left_out = values.size() > kLongestPrintedList && i >= kLongestPrintedList - 3 && i + 2 < values.size();
    if (!left_out) parts.push_back(values[i].is_null() ? "-" : fmt::format("{:.4g}", values[i].get<double>()));
    if (left_out && (parts.back() != "...")) parts.emplace_back("...");
  }
  return fmt::format("{}", fmt::join(parts, " "));
}

// Eight heights over the range of the values.
std::string sparkline(const Json& values) {
  static constexpr const char* kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double low = INFINITY, high = -INFINITY;
  for (const Json& value : values) {
    if (value.is_null()) continue;
    low = std::min(low, value.get<double>());
    high = std::max(high, value.get<double>());
  }
  std::string line;
  for (const Json& value : values) {
    if (value.is_null()) {
      line += ' ';
      continue;
    }
    const double height = high > low ? (value.get<double>() - low) / (high - low) : 0.0;
    line += kBars[static_cast<std::size_t>(std::lround(7.0 * height))];
  }
  return line;
}

std::string identity_text(const Json& cell) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const CellColumn& column : kCellColumns) {
    const std::string name(column.name);
    const bool elsewhere = column.home == Home::runs || name == "cell_id" || name == "coordinates";
    if (elsewhere || column.views == InViews::results) continue;
    const std::string value = text_of(cell[name]);
    const bool says_nothing = value.empty() || value == "-" || (name == "transient" && value == "0");
    if (!says_nothing) pairs.emplace_back(name, value);
  }
  return fmt::format("cell {}\n", text_of(cell["cell_id"])) + facts(pairs);
}

std::string metrics_text(const Json& cell) {
  if (cell["test_sets"].empty()) return "";
  TextTable table{{{"test set"}, {"kind"}}, {}};
  std::vector<std::string> names;
  for (const Json& test_set : cell["test_sets"]) {
    for (const auto& [name, value] : test_set["metrics"].items()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  for (const std::string& name : names) table.columns.push_back({name, true});
  for (const Json& test_set : cell["test_sets"]) {
    std::vector<std::string> row{text_of(test_set["test_set"]), text_of(test_set["test_kind"])};
    for (const std::string& name : names) row.push_back(text_of(test_set["metrics"].value(name, Json(nullptr))));
    table.rows.push_back(std::move(row));
  }
  return heading("metrics") + indented(to_terminal(table));
}

// What its tuner was chosen from.
std::string candidates_text(const Json& cell) {
  if (cell["candidates"].empty()) return "";
  TextTable table{{{"candidate"}, {"accuracy", true}, {"loss", true}, {""}}, {}};
  for (const Json& candidate : cell["candidates"]) {
    const bool chosen = candidate["chosen"] == 1;
    std::vector<std::string> params;
    for (const auto& [name, value] : candidate["params"].items()) {
      params.push_back(fmt::format("{}={}", name, text_of(value)));
    }
    std::string outcome = candidate["status"] == "done" ? "" : text_of(candidate["status"]);
    if (candidate["message"] != "") outcome += ": " + text_of(candidate["message"]);
    table.rows.push_back({fmt::format("{} {}", candidate["candidate"].dump(), fmt::join(params, ", ")),
                          text_of(candidate["accuracy"]), text_of(candidate["loss"]),
                          chosen ? outcome + (outcome.empty() ? "chosen" : ", chosen") : outcome});
  }
  return heading(fmt::format("candidates ({})", text_of(cell["selection"]))) + indented(to_terminal(table));
}

// A small matrix as it is, rows being labels; of a large one the pairs that are mixed up most.
std::string confusion_text(const Json& test_set) {
  const auto classes = test_set["classes"].get<std::int64_t>();
  Json counts = test_set["confusion"];
  if (classes <= kLargestPrintedMatrix) {
    TextTable table{{{"label"}}, {}};
    for (std::int64_t k = 0; k < classes; ++k) table.columns.push_back({fmt::to_string(k), true});
    const std::vector<std::string> empty(static_cast<std::size_t>(classes) + 1, ".");
    table.rows.assign(static_cast<std::size_t>(classes), empty);
    for (std::size_t k = 0; k < table.rows.size(); ++k) table.rows[k][0] = fmt::to_string(k);
    for (const Json& count : counts) {
      table.rows.at(count[0].get<std::size_t>()).at(count[1].get<std::size_t>() + 1) = count[2].dump();
    }
    return indented(to_terminal(table));
  }
  std::erase_if(counts.get_ref<Json::array_t&>(), [](const Json& count) { return count[0] == count[1]; });
  std::stable_sort(counts.begin(), counts.end(), [](const Json& a, const Json& b) { return a[2] > b[2]; });
  std::string text = "  most frequent mistakes (label -> predicted: samples)\n";
  for (std::size_t i = 0; i < std::min(counts.size(), kLongestPrintedList); ++i) {
    text += fmt::format("  {} -> {}: {}\n", counts[i][0].dump(), counts[i][1].dump(), counts[i][2].dump());
  }
  return text;
}

std::string classes_text(const Json& cell) {
  std::string text;
  for (const Json& test_set : cell["test_sets"]) {
    if (!test_set.contains("confusion")) continue;
    text += heading(fmt::format("{} ({}): accuracy by class, confusion", text_of(test_set["test_set"]),
                                text_of(test_set["test_kind"])));
    std::vector<std::string> accuracies;
    for (const Json& row : test_set["class_accuracy"]) {
      accuracies.push_back(fmt::format("{}: {:.1f} %", row["label"].dump(), 100.0 * row["accuracy"].get<double>()));
    }
    const std::size_t shown = std::min<std::size_t>(accuracies.size(), kLargestPrintedMatrix);
    text += fmt::format("  {}{}\n", fmt::join(accuracies.begin(), accuracies.begin() + static_cast<long>(shown), ", "),
                        shown < accuracies.size() ? ", ..." : "");
    text += confusion_text(test_set);
  }
  return text;
}

std::string curves_text(const Json& cell) {
  std::string text;
  if (!cell["loss_curve"].is_null()) {
    const Json& curve = cell["loss_curve"];
    text += heading(fmt::format("training loss of {} epochs", curve.size()));
    text += fmt::format("  {}\n  {}\n", short_list(curve), sparkline(curve));
  }
  if (!cell["spectra"].empty()) text += heading("singular values");
  for (const Json& spectrum : cell["spectra"]) {
    text += fmt::format("  {} ({}, {} mean taken out, {} samples): {}\n", text_of(spectrum["test_set"]),
                        text_of(spectrum["space"]), text_of(spectrum["center"]), spectrum["samples"].dump(),
                        short_list(spectrum["singular_values"]));
  }
  return text;
}

std::string run_text(const Json& cell) {
  std::string text;
  for (const Json& noise : cell["realised_noise"]) {
    text += heading("pre-training noise") +
            facts({{"asked", fmt::format("{} {}", text_of(noise["noise"]), text_of(noise["noise_ratio"]))},
                   {"realised", text_of(noise["realised_rate"])}});
    if (noise["upstream_accuracy"].is_null()) continue;
    text += heading("upstream accuracy") + facts({{"accuracy", text_of(noise["upstream_accuracy"])},
                                                  {"data", fmt::format("{}, {} samples", text_of(noise["validation"]),
                                                                       text_of(noise["upstream_samples"]))}});
  }
  if (!cell["stages"].empty()) {
    TextTable table{{{"stage"}, {"runs", true}, {"items", true}, {"unit"}, {"seconds", true}, {"per second", true}},
                    {}};
    for (const Json& stage : cell["stages"]) {
      table.rows.push_back({text_of(stage["stage"]), text_of(stage["runs"]), text_of(stage["items"]),
                            text_of(stage["unit"]), text_of(stage["seconds"]), text_of(stage["per_second"])});
    }
    text += heading("stages of its run that served it") + indented(to_terminal(table));
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : cell["provenance"].items()) {
    if (!text_of(value).empty()) pairs.emplace_back(name, text_of(value));
  }
  return text + heading("run") + facts(pairs);
}

// The last lines; warnings and errors whatever their place.
std::string log_text(const Json& cell) {
  const Json& log = cell["log"];
  if (log.empty()) return "";
  std::string text = heading("log of its run");
  std::size_t left_out = 0;
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (i + kLongestPrintedList < log.size() && log[i]["level"] == "info") {
      ++left_out;
      continue;
    }
    text += fmt::format("  {} {} {}\n", text_of(log[i]["at"]), text_of(log[i]["level"]), text_of(log[i]["message"]));
  }
  if (left_out > 0) text += fmt::format("  ({} earlier lines: --json)\n", left_out);
  return text;
}

}  // namespace

std::string find_cell(const Store& store, const std::string& prefix) {
  return with_database_errors(store.impl().file, [&] {
    // As a range, so that the index serves and no character of the prefix is a wildcard.
    SQLite::Statement statement(store.impl().db,
                                "SELECT cell_id FROM cells WHERE cell_id >= ?1 AND substr(cell_id, 1, length(?1)) = ?1"
                                " ORDER BY cell_id LIMIT 6");
    statement.bind(1, prefix);
    std::vector<std::string> found;
    while (statement.executeStep()) found.push_back(statement.getColumn(0).getString());
    const std::string file = store.impl().file.string();
    if (found.empty()) {
      throw Error(fmt::format("{}: no cell \"{}\"; `nmlbench export --table cells` lists them", file, prefix));
    }
    if (found.size() > 1 && found.front() != prefix) {
      const bool more = found.size() > 5;
      if (more) found.pop_back();
      throw Error(fmt::format("{}: several cells begin with \"{}\": {}{}; type more of one", file, prefix,
                              fmt::join(found, ", "), more ? ", ..." : ""));
    }
    return found.front();
  });
}

std::string cell_json(const Store& store, const std::string& id) {
  return with_database_errors(
      store.impl().file, [&] { return details(store, id).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; });
}

std::string cell_text(const Store& store, const std::string& id) {
  return with_database_errors(store.impl().file, [&] {
    const Json cell = details(store, id);
    return identity_text(cell) + metrics_text(cell) + candidates_text(cell) + classes_text(cell) + curves_text(cell) +
           run_text(cell) + log_text(cell);
  });
}

}  // namespace nmlbench
