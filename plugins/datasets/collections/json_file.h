// JSON files that come with data sets.
#pragma once

#include <nmlbench/error.h>

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

namespace nmlbench::plugins {

// Throws DataError when it cannot be read or is no object.
nlohmann::json read_json(const std::filesystem::path& file);

// What a file has instead of a value of the wrong type, as a DataError.
[[noreturn]] void wrong_type(const std::filesystem::path& file, const std::string& key);

template <typename T>
T as(const nlohmann::json& value, const std::string& key, const std::filesystem::path& file) {
  try {
    return value.get<T>();
  } catch (const nlohmann::json::exception&) {
    wrong_type(file, key);
  }
}

// The value of an object's key. Throws DataError when it is missing or of another type.
template <typename T>
T lookup(const nlohmann::json& object, const std::string& key, const std::filesystem::path& file) {
  if (!object.contains(key)) throw DataError(file.string() + ": has no \"" + key + "\"");
  return as<T>(object.at(key), key, file);
}

}  // namespace nmlbench::plugins
