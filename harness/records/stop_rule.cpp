#include "records/stop_rule.h"

#include <nmlbench/error.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace nmlbench {

std::string to_json(const StopRule& rule) {
  nlohmann::json claims = nlohmann::json::array();
  for (const Claim& claim : rule.claims) claims.push_back(claim.text);
  return nlohmann::json{{"claim", std::move(claims)}, {"metric", rule.metric},       {"effect", rule.effect},
                        {"level", rule.level},        {"max_seeds", rule.max_seeds}, {"batch", rule.batch}}
      .dump();
}

StopRule stop_rule_from_json(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    StopRule rule;
    for (const std::string& claim : json.at("claim").get<std::vector<std::string>>())
      rule.claims.push_back(parse_claim(claim));
    rule.metric = json.at("metric").get<std::string>();
    rule.effect = json.at("effect").get<double>();
    rule.level = json.at("level").get<double>();
    rule.max_seeds = json.at("max_seeds").get<std::int64_t>();
    rule.batch = json.at("batch").get<std::int64_t>();
    return rule;
  } catch (const nlohmann::json::exception& error) {
    throw Error(fmt::format("the [stop] that a run recorded cannot be read; give the claims anew: {}", error.what()));
  }
}

}  // namespace nmlbench
