#include "hdf5_arrays.h"

#include "compression.h"
#include "datasets/images/content.h"

#include <nmlbench/dense.h>
#include <nmlbench/error.h>

#include <mutex>

#include <hdf5.h>

namespace nmlbench::plugins {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunkCache = std::size_t{64} << 20;
constexpr std::size_t kChunkSlots = 12421;  // a prime well above the number of chunks held

std::mutex& library_mutex() {  // Debian's HDF5 serves one thread at a time
  static std::mutex mutex;
  return mutex;
}

}  // namespace

// An HDF5 identifier and what closes it.
struct Hdf5Id {
  hid_t id;
  herr_t (*close)(hid_t);
  Hdf5Id(hid_t i, herr_t (*c)(hid_t)) : id(i), close(c) {}
  ~Hdf5Id() {
    if (id >= 0) close(id);
  }
  Hdf5Id(const Hdf5Id&) = delete;
  Hdf5Id& operator=(const Hdf5Id&) = delete;
  operator hid_t() const { return id; }  // NOLINT(google-explicit-constructor): it stands for the identifier
};

struct Hdf5Images::Handles {
  Hdf5Id file, access, data, space;

  Handles(const fs::path& path, const std::string& name)
      : file(quiet_open(path), H5Fclose),
        access(chunk_cache(), H5Pclose),
        data(file >= 0 ? H5Dopen2(file, name.c_str(), access) : -1, H5Dclose),
        space(data >= 0 ? H5Dget_space(data) : -1, H5Sclose) {
    if (file < 0) throw DataError(path.string() + ": is not there, or no HDF5 file");
    if (space < 0) throw DataError(path.string() + ": has no array \"" + name + "\"");
    const Hdf5Id type(H5Dget_type(data), H5Tclose);
    double bytes = static_cast<double>(H5Tget_size(type));  // no integer would hold what a damaged file says
    for (const std::int64_t size : sizes()) bytes *= static_cast<double>(static_cast<hsize_t>(size));
    if (bytes > kMostCompression * static_cast<double>(fs::file_size(path))) {
      throw DataError(path.string() + ": array \"" + name + "\" is larger than its file can hold; it is damaged");
    }
  }

  static hid_t quiet_open(const fs::path& path) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return -1;  // a pipe would be waited for
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);       // messages are ours
    return H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  }
  static hid_t chunk_cache() {
    const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk_cache(access, kChunkSlots, kChunkCache, H5D_CHUNK_CACHE_W0_DEFAULT);
    return access;
  }

  std::vector<std::int64_t> sizes() const {
    std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space))));
    H5Sget_simple_extent_dims(space, dims.data(), nullptr);
    return {dims.begin(), dims.end()};
  }
};

torch::Tensor hdf5_array(const fs::path& file, const std::string& name, torch::ScalarType type) {
  const std::lock_guard lock(library_mutex());
  const Hdf5Images::Handles handles(file, name);
  torch::Tensor out = torch::empty(handles.sizes(), type);
  const hid_t native = type == torch::kFloat64 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
  if (H5Dread(handles.data, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, dense_bytes(out)) < 0) {
    throw DataError(file.string() + ": array \"" + name + "\" is damaged or truncated");
  }
  return out;
}

Hdf5Images::Hdf5Images(const fs::path& file, const std::string& name) : file_(file), array_(name) {
  const std::lock_guard lock(library_mutex());
  handles_ = std::make_unique<Handles>(file, name);
  sizes_ = handles_->sizes();
  const Hdf5Id type(H5Dget_type(handles_->data), H5Tclose);
  if (sizes_.size() != 4 || sizes_[3] != 3 || sizes_[0] == 0 || H5Tget_class(type) != H5T_INTEGER ||
      H5Tget_size(type) != 1) {
    throw DataError(file.string() + ": array \"" + name + "\" is not uint8 [N, H, W, 3]");
  }
}

Hdf5Images::~Hdf5Images() {
  const std::lock_guard lock(library_mutex());
  handles_.reset();
}

std::string Hdf5Images::name(std::int64_t row) const {
  return file_.string() + ", row " + std::to_string(row);
}

Image Hdf5Images::image(std::int64_t row, const DecodeOptions& decode, const ResizeOptions& resize) const {
  const std::int64_t height = sizes_[1], width = sizes_[2];
  check_size(width, height, decode);
  std::vector<std::uint8_t> rgb(static_cast<std::size_t>(3 * height * width));
  {
    const std::lock_guard lock(library_mutex());
    const hsize_t start[4] = {static_cast<hsize_t>(row), 0, 0, 0};
    const hsize_t count[4] = {1, static_cast<hsize_t>(height), static_cast<hsize_t>(width), 3};
    const Hdf5Id from(H5Scopy(handles_->space), H5Sclose), to(H5Screate_simple(4, count, nullptr), H5Sclose);
    H5Sselect_hyperslab(from, H5S_SELECT_SET, start, nullptr, count, nullptr);
    if (H5Dread(handles_->data, H5T_NATIVE_UINT8, to, from, H5P_DEFAULT, rgb.data()) < 0) {
      throw BrokenImage("the file is damaged or truncated there");
    }
  }
  Image image(width, height);
  for (std::int64_t i = 0; i < height * width; ++i) {
    std::uint8_t* pixel = image.rgbx.get() + 4 * i;
    for (int c = 0; c < 3; ++c) pixel[c] = rgb[static_cast<std::size_t>(3 * i + c)];
    pixel[3] = 255;
  }
  return resize_image(std::move(image), resize);
}

std::string Hdf5Images::digest() const {
  return content_digest({file_}) + array_;
}

}  // namespace nmlbench::plugins
