// What the engine adds to boards of test samples: pictures of them, or the sentences that they are.
#include "cli/contact_sheet.h"
#include "cli/recorded_samples.h"
#include "cli/report_verb.h"
#include "cli/show_verb.h"

#include <nmlbench/dataset.h>

#include <algorithm>

#include <openssl/evp.h>

namespace nmlbench::cli {
namespace {

constexpr std::int64_t kLargestSide = 128;  // px of a picture
constexpr std::size_t kLongestText = 300;   // bytes of a sentence on a page

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends what it writes with a zero
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

// uint8 [1, C, H, W] -> a data URI, large images made smaller.
std::string data_uri(const torch::Tensor& sample) {
  torch::Tensor image = sample;
  const std::int64_t side = std::max(image.size(2), image.size(3));
  if (side > kLargestSide) {
    const auto smaller = [&](std::int64_t length) { return std::max<std::int64_t>(1, length * kLargestSide / side); };
    image = torch::adaptive_avg_pool2d(image.to(torch::kFloat32), {smaller(image.size(2)), smaller(image.size(3))})
                .round()
                .to(torch::kUInt8);
  }
  image = image[0].expand({3, image.size(2), image.size(3)});
  return "data:image/png;base64," + base64(png_of(image));
}

Pictures pictures_of(RecordedSamples& samples, const BrokenSamples& board) {
  Pictures pictures;
  pictures.images.resize(board.rows.size());
  pictures.texts.resize(board.rows.size());
  pictures.note = samples.read(places_of(board), "pictures", [&](std::size_t i, const RecordedSample& sample) {
    if (sample.text) {
      pictures.texts[i] = quoted(*sample.text, kLongestText);
    } else {
      pictures.images[i] = data_uri(sample.image);
    }
  });
  return pictures;
}

SampleQuotes quotes_of(const Globals& globals, const Store& store, const std::vector<SamplePlace>& places,
                       std::size_t longest) {
  SampleQuotes quotes;
  quotes.texts.resize(places.size());
  RecordedSamples samples(globals, store);
  quotes.note = samples.read(places, "texts", [&](std::size_t i, const RecordedSample& sample) {
    if (!sample.text) throw Error("its samples are images (nmlbench report --images)");
    quotes.texts[i] = quoted(*sample.text, longest);
  });
  return quotes;
}

}  // namespace

void add_illustrated_report(CLI::App& app, Globals& globals, Action& action) {
  add_report_verb(app, globals, action, [](const Globals& of_call, const Store& store) -> PictureSource {
    auto samples = std::make_shared<RecordedSamples>(of_call, store);
    return [samples](const BrokenSamples& board) { return pictures_of(*samples, board); };
  });
}

void add_quoting_show(CLI::App& app, Globals& globals, Action& action) {
  add_show_verb(app, globals, action, quotes_of);
}

}  // namespace nmlbench::cli
