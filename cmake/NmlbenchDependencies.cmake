# Every external dependency of the build, in one place. All are Debian 12 packages (see ./dev); LibTorch may be
# another.
include(NmlbenchTorch)
find_package(OpenMP REQUIRED)
find_package(Boost 1.74 REQUIRED CONFIG COMPONENTS filesystem)
find_package(tomlplusplus REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(hwy REQUIRED IMPORTED_TARGET libhwy)  # Google Highway
pkg_check_modules(spng REQUIRED IMPORTED_TARGET spng)
pkg_check_modules(jpeg REQUIRED IMPORTED_TARGET libjpeg)  # libjpeg-turbo's
pkg_check_modules(turbojpeg REQUIRED IMPORTED_TARGET libturbojpeg)
pkg_check_modules(webp REQUIRED IMPORTED_TARGET libwebp)
pkg_check_modules(stb REQUIRED IMPORTED_TARGET stb)
pkg_check_modules(archive REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(matio REQUIRED IMPORTED_TARGET matio)
pkg_check_modules(hdf5 REQUIRED IMPORTED_TARGET hdf5)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
# Gloo itself is part of LibTorch, which does not bring its headers.
find_path(NMLBENCH_GLOO_HEADERS gloo/rendezvous/store.h)
if(NOT NMLBENCH_GLOO_HEADERS)
  message(STATUS "No headers of Gloo (libgloo-dev): `nmlbench pretrain` will refuse to train by several processes")
endif()
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
# Chart.js (MIT) travels inside the program and its reports: /usr/share/javascript of Debian's libjs-chart.js.
find_file(NMLBENCH_CHART_JS chart.min.js PATH_SUFFIXES share/javascript/chart.js PATHS /usr REQUIRED)
