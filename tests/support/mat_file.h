// Writes MATLAB files in tests, with the library that reads them.
#pragma once

#include <nmlbench/torch.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <matio.h>

namespace nmlbench::testing {

class MatFile {
 public:
  explicit MatFile(const std::filesystem::path& file) {
    std::filesystem::create_directories(file.parent_path());
    mat_ = Mat_CreateVer(file.c_str(), nullptr, MAT_FT_MAT5);
  }
  ~MatFile() { Mat_Close(mat_); }

  void numbers(const char* name, std::vector<double> values) { write(row(name, values)); }
  void bytes(const char* name, const torch::Tensor& column_major, std::vector<std::size_t> sizes) {
    write(Mat_VarCreate(name, MAT_C_UINT8, MAT_T_UINT8, static_cast<int>(sizes.size()), sizes.data(),
                        column_major.data_ptr(), 0));
  }
  void texts(const char* name, const std::vector<std::string>& values) {
    std::size_t sizes[2] = {1, values.size()};
    matvar_t* cell = Mat_VarCreate(name, MAT_C_CELL, MAT_T_CELL, 2, sizes, nullptr, 0);
    for (std::size_t i = 0; i < values.size(); ++i) Mat_VarSetCell(cell, static_cast<int>(i), letters(values[i]));
    write(cell);
  }
  void records(const char* name, const std::vector<std::pair<std::string, double>>& values) {
    const char* fields[] = {"class", "fname"};
    std::size_t sizes[2] = {1, values.size()};
    matvar_t* all = Mat_VarCreateStruct(name, 2, sizes, fields, 2);
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::vector<double> number = {values[i].second};
      Mat_VarSetStructFieldByName(all, "class", i, row(nullptr, number));
      Mat_VarSetStructFieldByName(all, "fname", i, letters(values[i].first));
    }
    write(all);
  }

 private:
  static matvar_t* row(const char* name, std::vector<double>& values) {
    std::size_t sizes[2] = {1, values.size()};
    return Mat_VarCreate(name, MAT_C_DOUBLE, MAT_T_DOUBLE, 2, sizes, values.data(), 0);
  }
  static matvar_t* letters(const std::string& value) {
    std::size_t sizes[2] = {1, value.size()};
    return Mat_VarCreate(nullptr, MAT_C_CHAR, MAT_T_UTF8, 2, sizes, const_cast<char*>(value.data()), 0);
  }
  void write(matvar_t* variable) {
    Mat_VarWrite(mat_, variable, MAT_COMPRESSION_ZLIB);
    Mat_VarFree(variable);
  }
  mat_t* mat_;
};

}  // namespace nmlbench::testing
