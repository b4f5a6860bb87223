// A database's report, and what its charts are drawn from.
#pragma once

#include "fixture.h"
#include "results/report/report.h"

#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

inline std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t begin = text.find(from);
  if (begin == std::string::npos) return "";
  return text.substr(begin + from.size(), text.find(to, begin + from.size()) - begin - from.size());
}

class ReportTest : public ResultsTest {
 protected:
  std::string page(const ReportOptions& options = {}) {
    return report_html(Store::open_read_only(file("a.sqlite")), options);
  }
  // What the charts are drawn from.
  nlohmann::json figures(const ReportOptions& options = {}) {
    return nlohmann::json::parse(between(page(options), R"(id="figures">)", "</script>"));
  }
  std::string section(const std::string& id, const ReportOptions& options = {}) {
    return between(page(options), fmt::format(R"(<section id="{}">)", id), "</section>");
  }
  Store create() { return Store::open(file("a.sqlite")); }
};

}  // namespace nmlbench
