// Writes HDF5 files in tests, with the library that reads them.
#pragma once

#include <nmlbench/torch.h>

#include <filesystem>
#include <string>
#include <vector>

#include <hdf5.h>

namespace nmlbench::testing {

// An array in a file that may be there already.
inline void write_hdf5(const std::filesystem::path& path, const std::string& name, const torch::Tensor& values,
                       bool compressed = false) {
  std::filesystem::create_directories(path.parent_path());
  const hid_t file = std::filesystem::exists(path) ? H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT)
                                                   : H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t links = H5Pcreate(H5P_LINK_CREATE), layout = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  std::vector<hsize_t> sizes(values.sizes().begin(), values.sizes().end());
  if (compressed) {
    std::vector<hsize_t> chunk = sizes;
    chunk[0] = 2;
    H5Pset_chunk(layout, static_cast<int>(chunk.size()), chunk.data());
    H5Pset_deflate(layout, 4);
  }
  const hid_t type = values.scalar_type() == torch::kUInt8   ? H5T_NATIVE_UINT8
                     : values.scalar_type() == torch::kInt32 ? H5T_NATIVE_INT32
                                                             : H5T_NATIVE_FLOAT;
  const hid_t space = H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
  const hid_t data = H5Dcreate2(file, name.c_str(), type, space, links, layout, H5P_DEFAULT);
  H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.contiguous().data_ptr());
  H5Dclose(data);
  H5Sclose(space);
  H5Pclose(links);
  H5Pclose(layout);
  H5Fclose(file);
}

// An array that claims these sizes in a file of some kilobytes: none of its chunks is there.
inline void write_hollow_hdf5(const std::filesystem::path& path, const std::string& name,
                              const std::vector<hsize_t>& sizes) {
  std::filesystem::create_directories(path.parent_path());
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t links = H5Pcreate(H5P_LINK_CREATE), layout = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  const std::vector<hsize_t> chunk(sizes.size(), 1);
  H5Pset_chunk(layout, static_cast<int>(chunk.size()), chunk.data());
  const hid_t space = H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
  H5Dclose(H5Dcreate2(file, name.c_str(), H5T_NATIVE_FLOAT, space, links, layout, H5P_DEFAULT));
  H5Sclose(space);
  H5Pclose(links);
  H5Pclose(layout);
  H5Fclose(file);
}

}  // namespace nmlbench::testing
