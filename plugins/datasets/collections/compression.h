// What a compressed file can hold, as a limit of what a damaged or malicious one may claim.
#pragma once

namespace nmlbench::plugins {

// Bytes that deflate, the compression of MATLAB's and most HDF5 files, may make of one (zlib.net, "Maximum Compression
// Factor").
inline constexpr double kMostCompression = 1032;

}  // namespace nmlbench::plugins
