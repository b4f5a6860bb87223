#include "mat_files.h"

#include "compression.h"

#include <nmlbench/dense.h>
#include <nmlbench/error.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <type_traits>

#include <matio.h>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

struct Variable {
  std::string where;  // "FILE: variable X"
  std::unique_ptr<matvar_t, void (*)(matvar_t*)> value;

  [[noreturn]] void fail(const std::string& message) const { throw DataError(where + " " + message); }
};

// Whether it, and what it holds, has no more than so many elements; no integer would count what a damaged file says.
bool has_at_most(const matvar_t& value, double most) {
  double count = 1;
  for (int i = 0; i < value.rank; ++i) count *= static_cast<double>(value.dims[i]);
  if (count > most) return false;
  if ((value.class_type != MAT_C_CELL && value.class_type != MAT_C_STRUCT) || value.data == nullptr) return true;
  const auto* held = static_cast<matvar_t* const*>(value.data);
  return std::all_of(held, held + value.nbytes / sizeof(*held),
                     [&](const matvar_t* item) { return item == nullptr || has_at_most(*item, most); });
}

// libmatio makes room for what a variable says of its size before it looks for the data.
Variable read_variable(const fs::path& file, const std::string& name) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) throw DataError(file.string() + ": no such file");
  const std::unique_ptr<mat_t, int (*)(mat_t*)> mat(Mat_Open(file.c_str(), MAT_ACC_RDONLY), Mat_Close);
  if (!mat) throw DataError(file.string() + ": is no MATLAB file, or a damaged one");
  Variable variable{file.string() + ": variable " + name, {Mat_VarReadInfo(mat.get(), name.c_str()), Mat_VarFree}};
  if (variable.value && !has_at_most(*variable.value, kMostCompression * static_cast<double>(fs::file_size(file)))) {
    variable.fail("is larger than its file can hold; it is damaged");
  }
  if (!variable.value || Mat_VarReadDataAll(mat.get(), variable.value.get()) != 0 || variable.value->data == nullptr) {
    variable.fail("is not there, empty or damaged");
  }
  return variable;
}

std::size_t element_count(const matvar_t& value) {
  std::size_t count = 1;
  for (int i = 0; i < value.rank; ++i) count *= value.dims[i];
  return count;
}

// MATLAB keeps whole numbers as doubles, too.
template <typename T>
void append(const Variable& variable, const matvar_t& value, std::vector<std::int64_t>& out) {
  const auto* data = static_cast<const T*>(value.data);
  for (std::size_t i = 0; i < element_count(value); ++i) {
    if constexpr (std::is_floating_point_v<T>) {
      if (!(std::abs(data[i]) < 1e15) || data[i] != std::floor(data[i]))
        variable.fail("has numbers that are not whole");
    }
    out.push_back(static_cast<std::int64_t>(data[i]));
  }
}

std::vector<std::int64_t> integers(const Variable& variable, const matvar_t* value) {
  std::vector<std::int64_t> out;
  if (value == nullptr || value->data == nullptr) variable.fail("has an empty field");
  switch (value->class_type) {
    case MAT_C_DOUBLE:
      append<double>(variable, *value, out);
      break;
    case MAT_C_SINGLE:
      append<float>(variable, *value, out);
      break;
    case MAT_C_UINT8:
      append<std::uint8_t>(variable, *value, out);
      break;
    case MAT_C_INT8:
      append<std::int8_t>(variable, *value, out);
      break;
    case MAT_C_UINT16:
      append<std::uint16_t>(variable, *value, out);
      break;
    case MAT_C_INT16:
      append<std::int16_t>(variable, *value, out);
      break;
    case MAT_C_UINT32:
      append<std::uint32_t>(variable, *value, out);
      break;
    case MAT_C_INT32:
      append<std::int32_t>(variable, *value, out);
      break;
    case MAT_C_INT64:
      append<std::int64_t>(variable, *value, out);
      break;
    case MAT_C_UINT64:
      append<std::uint64_t>(variable, *value, out);
      break;
    default:
      variable.fail("is not numeric");
  }
  return out;
}

// The names of files and classes are ASCII.
std::string text(const Variable& variable, const matvar_t* value) {
  if (value == nullptr || value->class_type != MAT_C_CHAR) variable.fail("is no text");
  std::string out;
  if (value->data == nullptr) return out;
  const std::size_t count = element_count(*value);
  for (std::size_t i = 0; i < count; ++i) {
    out += value->data_size == 2 ? static_cast<char>(static_cast<const std::uint16_t*>(value->data)[i])
                                 : static_cast<const char*>(value->data)[i];
  }
  return out;
}

}  // namespace

std::vector<std::int64_t> mat_integers(const fs::path& file, const std::string& name) {
  const Variable variable = read_variable(file, name);
  return integers(variable, variable.value.get());
}

torch::Tensor mat_bytes(const fs::path& file, const std::string& name) {
  const Variable variable = read_variable(file, name);
  const matvar_t& value = *variable.value;
  if (value.class_type != MAT_C_UINT8) variable.fail("is no uint8 array");
  std::vector<std::int64_t> sizes, order;  // the file is column-major: its last dimension is the slowest
  for (int i = value.rank - 1; i >= 0; --i) {
    sizes.push_back(static_cast<std::int64_t>(value.dims[i]));
    order.push_back(i);
  }
  const torch::Tensor out = torch::empty(sizes, torch::kUInt8);
  std::memcpy(dense_bytes(out), value.data, out.nbytes());
  return out.permute(order);
}

std::vector<std::string> mat_texts(const fs::path& file, const std::string& name) {
  const Variable variable = read_variable(file, name);
  if (variable.value->class_type != MAT_C_CELL) variable.fail("is no cell array");
  std::vector<std::string> out;
  for (std::size_t i = 0; i < element_count(*variable.value); ++i) {
    out.push_back(text(variable, Mat_VarGetCell(variable.value.get(), static_cast<int>(i))));
  }
  return out;
}

std::vector<MatRecord> mat_records(const fs::path& file, const std::string& name, const std::string& text_field,
                                   const std::string& number_field) {
  const Variable variable = read_variable(file, name);
  if (variable.value->class_type != MAT_C_STRUCT) variable.fail("is no struct array");
  std::vector<MatRecord> out;
  for (std::size_t i = 0; i < element_count(*variable.value); ++i) {
    const auto field = [&](const std::string& which) {
      return Mat_VarGetStructFieldByName(variable.value.get(), which.c_str(), i);
    };
    const std::vector<std::int64_t> numbers = integers(variable, field(number_field));
    if (numbers.size() != 1) variable.fail("has no single number in its field " + number_field);
    out.push_back({text(variable, field(text_field)), numbers[0]});
  }
  return out;
}

}  // namespace nmlbench::plugins
