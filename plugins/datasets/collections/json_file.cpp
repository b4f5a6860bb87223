#include "json_file.h"

#include "support/text_file.h"

namespace nmlbench::plugins {
namespace {

constexpr std::size_t kLargestJson = std::size_t{64} << 20;

}  // namespace

nlohmann::json read_json(const std::filesystem::path& file) {
  nlohmann::json value = nlohmann::json::parse(read_text(file, kLargestJson), nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) throw DataError(file.string() + ": is no JSON object");
  return value;
}

void wrong_type(const std::filesystem::path& file, const std::string& key) {
  throw DataError(file.string() + ": \"" + key + "\" is of the wrong type");
}

}  // namespace nmlbench::plugins
