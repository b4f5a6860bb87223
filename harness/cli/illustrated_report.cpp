// Pictures of test samples, or the sentences that they are, out of the data sets that the database's matrix names.
#include "cli/contact_sheet.h"
#include "cli/recorded_matrix.h"
#include "cli/report_verb.h"
#include "engine/class_map.h"

#include <nmlbench/dataset.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>

namespace nmlbench::cli {
namespace {

constexpr std::int64_t kLargestSide = 128;  // px of a picture
constexpr std::size_t kLongestText = 300;   // bytes of a sentence

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

// The sentence, or the pair of them, in a length that suits a page.
std::string shortened(const Text& sample) {
  std::string text = sample.first + (sample.second ? " / " + *sample.second : "");
  if (text.size() <= kLongestText) return text;
  std::size_t end = kLongestText;
  while ((static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // not inside a character
  return text.substr(0, end) + " ..";
}

// The data sets of the matrices that a database's newest runs recorded.
class SampleImages {
 public:
  SampleImages(const Globals& globals, const Store& store) : globals_(with_absolute_paths(globals)), store_(store) {}

  // Adds what shows the sample, an image or a text. Throws Error: why there is none.
  void show(const BrokenSample& sample, std::string& image, std::string& text) {
    const Opened& test = opened(sample);
    const torch::Tensor row = test.rows.slice(0, sample.sample, sample.sample + 1);
    if (test.kind == SampleKind::text) {
      text = shortened(test.dataset->texts(row).at(0));
    } else {
      image = data_uri(test.dataset->samples(row, torch::kCPU));
    }
  }

 private:
  struct Planned {
    RecordedRun run;
    PlannedMatrix matrix;
  };

  struct Opened {
    std::unique_ptr<Dataset> dataset;
    SampleKind kind = SampleKind::image;
    torch::Tensor rows;  // int64, of each sample as it is scored
  };

  const Opened& opened(const BrokenSample& sample) {
    Opened& test = tests_[{sample.task, sample.test_set}];
    if (test.dataset != nullptr) return test;
    const Planned& planned = plan_of(sample.task);
    const Split& split = split_of(planned.matrix.plan, sample);
    if (const std::string change = change_of(split, planned.run); !change.empty()) throw DataError(change);
    if (split.facts.info.kind == SampleKind::feature) throw Error("frozen features have no images");
    if (planned.matrix.isolation->covers(split.plugin))
      throw Error(fmt::format("{} is not bundled, and is not loaded for pictures", split.plugin.name));
    auto dataset = make_dataset(split.plugin);
    const SplitInfo info = dataset->open();
    const torch::Tensor rows = first_rows(info.sets, info.size);
    if (sample.sample >= rows.size(0)) throw Error("the test set is smaller now");
    test = {std::move(dataset), info.kind, rows};
    return test;
  }

  const Planned& plan_of(const std::string& task) {
    const std::optional<RecordedRun> run = newest_run_of(store_, task);
    if (!run) throw Error("the database does not hold the matrix that it was run from");
    std::unique_ptr<Planned>& planned = plans_[run->matrix_source];
    if (planned == nullptr) {
      MatrixOptions how;
      how.device = "cpu";
      planned =
          std::make_unique<Planned>(Planned{*run, plan_recorded(globals_, how, recorded_matrix(*run, "task " + task))});
    }
    return *planned;
  }

  static const Split& split_of(const Plan& plan, const BrokenSample& sample) {
    for (const Task& task : plan.tasks) {
      if (task.name != sample.task) continue;
      for (const TestSet& test : task.tests) {
        if (test.name == sample.test_set) return plan.splits[test.split];
      }
    }
    throw Error("its matrix does not have it any more");
  }

  Globals globals_;
  const Store& store_;
  std::map<std::string, std::unique_ptr<Planned>> plans_;  // by the recorded matrix
  std::map<std::pair<std::string, std::string>, Opened> tests_;
};

Pictures pictures_of(SampleImages& images, const BrokenSamples& samples) {
  Pictures pictures;
  std::map<std::string, std::string> missing;  // test set -> why
  for (const BrokenSample& sample : samples.rows) {
    std::string& image = pictures.images.emplace_back();
    std::string& text = pictures.texts.emplace_back();
    const std::string name = fmt::format("{}, {}", sample.task, sample.test_set);
    if (missing.count(name) > 0) continue;
    try {
      images.show(sample, image, text);
    } catch (const Interrupted&) {
      throw;
    } catch (const std::exception& error) {
      missing[name] = error.what();
    }
  }
  std::map<std::string, std::vector<std::string>> by_reason;
  for (const auto& [name, why] : missing) by_reason[why].push_back(name);
  for (const auto& [why, names] : by_reason) {
    pictures.note +=
        fmt::format("{}No pictures of {}: {}.", pictures.note.empty() ? "" : " ", fmt::join(names, "; "), why);
  }
  return pictures;
}

}  // namespace

void add_illustrated_report(CLI::App& app, Globals& globals, Action& action) {
  add_report_verb(app, globals, action, [](const Globals& of_call, const Store& store) -> PictureSource {
    auto images = std::make_shared<SampleImages>(of_call, store);
    return [images](const BrokenSamples& samples) { return pictures_of(*images, samples); };
  });
}

}  // namespace nmlbench::cli
