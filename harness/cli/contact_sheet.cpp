#include "cli/contact_sheet.h"

#include "support/output_file.h"

#include <nmlbench/dense.h>
#include <nmlbench/error.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include <fmt/format.h>
#include <spng.h>

namespace nmlbench::cli {

namespace {

std::int64_t widest(const std::vector<torch::Tensor>& rows) {
  std::int64_t columns = 0;
  for (const torch::Tensor& row : rows) columns = std::max(columns, row.size(0));
  return columns;
}

}  // namespace

torch::Tensor arrange(const std::vector<torch::Tensor>& rows, std::int64_t rows_per_block, std::int64_t scale) {
  constexpr std::int64_t kGap = 2;  // px
  const std::int64_t h = rows.at(0).size(2) * scale, w = rows[0].size(3) * scale, columns = widest(rows);
  const auto n = static_cast<std::int64_t>(rows.size());
  const std::int64_t blocks = (n + rows_per_block - 1) / rows_per_block;
  torch::Tensor page =
      torch::zeros({3, n * (h + kGap) + kGap + (blocks - 1) * 3 * kGap, columns * (w + kGap) + kGap}, torch::kUInt8);
  for (std::int64_t r = 0; r < n; ++r) {
    const std::int64_t top = kGap + r * (h + kGap) + r / rows_per_block * 3 * kGap;
    const torch::Tensor big = rows[static_cast<std::size_t>(r)].repeat_interleave(scale, 2).repeat_interleave(scale, 3);
    for (std::int64_t c = 0; c < big.size(0); ++c) {
      const std::int64_t left = kGap + c * (w + kGap);
      page.slice(1, top, top + h).slice(2, left, left + w).copy_(big[c].expand({3, h, w}));
    }
  }
  return page;
}

std::string png_of(const torch::Tensor& image) {
  const torch::Tensor pixels = image.permute({1, 2, 0}).contiguous();
  const std::unique_ptr<spng_ctx, void (*)(spng_ctx*)> context(spng_ctx_new(SPNG_CTX_ENCODER), spng_ctx_free);
  spng_ihdr header{};
  header.height = static_cast<std::uint32_t>(pixels.size(0));
  header.width = static_cast<std::uint32_t>(pixels.size(1));
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
  spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1);
  spng_set_ihdr(context.get(), &header);
  int error =
      spng_encode_image(context.get(), dense_bytes(pixels), pixels.nbytes(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
  std::size_t bytes = 0;
  const std::unique_ptr<void, void (*)(void*)> png(
      error == 0 ? spng_get_png_buffer(context.get(), &bytes, &error) : nullptr, std::free);
  if (error != 0) throw Error(fmt::format("an image cannot be encoded as PNG: {}", spng_strerror(error)));
  return {static_cast<const char*>(png.get()), bytes};
}

void write_png(const std::filesystem::path& file, const torch::Tensor& image) {
  write_output(file, png_of(image));
}

}  // namespace nmlbench::cli
