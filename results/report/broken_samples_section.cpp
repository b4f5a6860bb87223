#include "results/report/broken_samples_section.h"

#include <nmlbench/error.h>

#include <fmt/format.h>
#include <kainjow/mustache.hpp>

namespace nmlbench {

namespace {

using kainjow::mustache::data;

constexpr std::size_t kRows = 24;

constexpr const char* kTemplate = R"(<section id="broken-samples">
<h2>Samples that noise broke</h2>
{{#note}}<p class="soft">{{note}}</p>{{/note}}
<div style="display:flex;flex-wrap:wrap;gap:.7rem">
{{#pictures}}<figure style="margin:0;width:7rem"><img src="{{src}}" alt="{{alt}}" style="width:7rem;image-rendering:pixelated"><figcaption class="soft" style="white-space:normal;font-weight:400">{{caption}}</figcaption></figure>
{{/pictures}}{{#texts}}<figure style="margin:0;width:22rem"><blockquote style="margin:0">{{text}}</blockquote><figcaption class="soft" style="white-space:normal;font-weight:400">{{caption}}</figcaption></figure>
{{/texts}}</div>
{{#any}}<div class="scroll"><table>
<thead><tr><th scope="col">task</th><th scope="col">test set</th><th scope="col">noise</th><th scope="col" class="right">sample</th><th scope="col" class="right">label</th><th scope="col" class="right">taken for</th><th scope="col" class="right">broken of heads</th></tr></thead>
<tbody>{{#rows}}
<tr><td>{{task}}</td><td>{{test_set}}</td><td>{{noise}}</td><td class="right">{{sample}}</td><td class="right">{{label}}</td><td class="right">{{predicted}}</td><td class="right">{{heads}}</td></tr>{{/rows}}
</tbody></table></div>
<p class="soft">Of pairs of heads that differ in pre-training noise alone, none and the highest level: right without noise, wrong with it; sorted by the share of heads lost, then by the probability that the true class lost. {{lost}} of {{samples}} samples lose more heads than they win. More: nmlbench show --samples.</p>{{/any}}
</section>
)";

data row_of(const BrokenSample& sample) {
  data row;
  row["task"] = sample.task;
  row["test_set"] = sample.test_set;
  row["noise"] = sample.noise + (sample.noise_rate ? fmt::format(" {:.3g}", *sample.noise_rate) : "");
  row["sample"] = fmt::to_string(sample.sample);
  row["label"] = fmt::to_string(sample.label);
  row["predicted"] = fmt::to_string(sample.predicted);
  row["heads"] = fmt::format("{} of {}", sample.broken, sample.heads);
  return row;
}

std::string caption_of(const BrokenSample& sample) {
  return fmt::format("{}: {} → {}, {}/{}", sample.test_set, sample.label, sample.predicted, sample.broken,
                     sample.heads);
}

data picture_of(const BrokenSample& sample, const std::string& src) {
  data picture;
  picture["src"] = src;
  picture["alt"] = fmt::format("sample {} of {}, {}", sample.sample, sample.task, sample.test_set);
  picture["caption"] = caption_of(sample);
  return picture;
}

data quote_of(const BrokenSample& sample, const std::string& text) {
  data quote;
  quote["text"] = text;
  quote["caption"] = caption_of(sample);
  return quote;
}

}  // namespace

std::string broken_samples_section(const Store& store, const PictureSource& pictures) {
  BrokenSamples board;
  Pictures drawn;
  try {
    board = query_broken_samples(store, {}, kRows);
    if (pictures) drawn = pictures(board);
    if (drawn.note.empty()) drawn.note = board.without_predictions;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    drawn.note = fmt::format("None to show: {}.", error.what());
  }
  data section, rows(data::type::list), images(data::type::list), texts(data::type::list);
  for (std::size_t i = 0; i < board.rows.size(); ++i) {
    rows << row_of(board.rows[i]);
    if (i < drawn.images.size() && !drawn.images[i].empty()) images << picture_of(board.rows[i], drawn.images[i]);
    if (i < drawn.texts.size() && !drawn.texts[i].empty()) texts << quote_of(board.rows[i], drawn.texts[i]);
  }
  section["note"] = drawn.note.empty() ? data(false) : data(drawn.note);
  section["any"] = data(!board.rows.empty());
  section["rows"] = std::move(rows);
  section["pictures"] = std::move(images);
  section["texts"] = std::move(texts);
  section["lost"] = fmt::to_string(board.lost);
  section["samples"] = fmt::to_string(board.samples);
  kainjow::mustache::mustache page{kTemplate};
  return page.render(section);
}

}  // namespace nmlbench
