#include "config/stop_reader.h"

#include "records/metrics.h"
#include "support/words.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace nmlbench {
namespace {

Location place_of(TomlTable& table, std::string_view key) {
  const toml::node* node = table.find(key);
  return node == nullptr ? table.where() : location_of(*node, table.key(key));
}

void read_claims(TomlTable& table, StopSpec& stop) {
  const toml::node& node = table.require("claim", "what seeds are added for: claim = \"A > B on ood\"");
  if (node.is_array() && node.as_array()->empty())
    throw ConfigError(location_of(node, table.key("claim")), "the list of claims is empty; leave out [stop]");
  for (const Value& value : table.list("claim", "")) {
    const auto* text = std::get_if<std::string>(&value.data);
    if (text == nullptr) throw ConfigError(value.where, "expected a claim in quotes, found " + value.text());
    try {
      stop.rule.claims.push_back(parse_claim(*text));
    } catch (const Error& error) {
      throw ConfigError(value.where, error.what());
    }
    stop.where.push_back(value.where);
    const auto is_same = [&](const Claim& other) { return other.text == stop.rule.claims.back().text; };
    if (std::count_if(stop.rule.claims.begin(), stop.rule.claims.end(), is_same) > 1)
      throw ConfigError(value.where, fmt::format("claim \"{}\" is listed twice", *text));
  }
}

double read_number(TomlTable& table, const char* key, const char* meaning) {
  return as_real(to_value(table.require(key, meaning), table.key(key)));
}

void read_metric(TomlTable& table, StopRule& rule) {
  rule.metric = table.text_or("metric", rule.metric);
  const Metric* metric = find_metric(rule.metric);
  if (metric == nullptr)
    throw ConfigError(place_of(table, "metric"),
                      fmt::format("no metric \"{}\"; there are {}", rule.metric, metric_names()));
  if (metric->better == Better::neither)
    throw ConfigError(place_of(table, "metric"),
                      fmt::format("{} has no direction, none is better, so that it decides nothing", rule.metric));
}

void read_numbers(TomlTable& table, StopRule& rule, std::int64_t listed) {
  rule.effect = read_number(table, "effect", "the smallest difference that matters, in points: 0.5");
  if (!(rule.effect > 0.0) || !std::isfinite(rule.effect))
    throw ConfigError(place_of(table, "effect"), "the smallest difference that matters is above 0");
  if (table.has("level")) rule.level = read_number(table, "level", "");
  if (!(rule.level > 0.0 && rule.level < 1.0))
    throw ConfigError(place_of(table, "level"),
                      fmt::format("{} is no rate of false verdicts between 0 and 1", rule.level));
  table.require("max_seeds", "with how many seeds it ends, decided or not: 64");
  rule.max_seeds = table.integer_or("max_seeds", 0, 1);
  if (rule.max_seeds < listed)
    throw ConfigError(place_of(table, "max_seeds"),
                      fmt::format("{} is below the {} seeds of matrix.seeds", rule.max_seeds, listed));
  rule.batch = table.integer_or("batch", rule.batch, 1);
}

}  // namespace

void read_stop(TomlTable& root, MatrixSpec& spec) {
  if (!root.has("stop")) return;
  TomlTable table = root.table("stop");
  StopSpec stop;
  read_claims(table, stop);
  read_metric(table, stop.rule);
  const auto listed = static_cast<std::int64_t>(spec.seeds.size());
  read_numbers(table, stop.rule, listed);
  const std::int64_t seeds = table.integer_or("seeds", listed, listed);
  if (seeds > stop.rule.max_seeds)
    throw ConfigError(place_of(table, "seeds"), fmt::format("{} is above max_seeds = {}", seeds, stop.rule.max_seeds));
  table.find("level");
  table.reject_unknown();

  const std::int64_t largest = *std::max_element(spec.seeds.begin(), spec.seeds.end());
  if (largest > std::numeric_limits<std::int64_t>::max() - stop.rule.max_seeds)
    throw ConfigError(table.where(), fmt::format("there is no seed above {} to add; list smaller ones", largest));
  const std::int64_t first = largest + 1;
  spec.batches = {first, stop.rule.batch};
  for (std::int64_t seed = first; static_cast<std::int64_t>(spec.seeds.size()) < seeds; ++seed)
    spec.seeds.push_back(seed);
  spec.stop = std::move(stop);
}

}  // namespace nmlbench
