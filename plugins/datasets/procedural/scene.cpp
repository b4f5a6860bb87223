#include "scene.h"

#include "elementary.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace nmlbench::plugins {
namespace {

using elementary::cosine_of_turns, elementary::sine_of_turns, elementary::sigmoid, elementary::exponential;

constexpr float kTurn = 2 * std::numbers::pi_v<float>;

using Plane = std::vector<float>;  // [size, size], row by row
using Image = std::array<Plane, 3>;

float mix(float a, float b, float share) {
  return a + (b - a) * share;
}

// Of a painting: the next channel's value under a wash.
float washed(float next, float wash) {
  return next * 0.85F + 0.15F * wash;
}

class Painter {
 public:
  Painter(const Scene& scene, const Canvas& canvas)
      : scene_(scene),
        canvas_(canvas),
        side_(static_cast<std::size_t>(canvas.size)),
        px_(side_ * side_),
        py_(side_ * side_) {
    for (std::size_t i = 0; i < side_ * side_; ++i) {
      px_[i] = place(i % side_);
      py_[i] = place(i / side_);
    }
    const float turns = scene.turn / kTurn, cosine = cosine_of_turns(turns), sine = sine_of_turns(turns);
    x_ = plane(
        [&](std::size_t i) { return (cosine * (px_[i] - scene_.x) + sine * (py_[i] - scene_.y)) / scene_.scale; });
    y_ = plane(
        [&](std::size_t i) { return (cosine * (py_[i] - scene_.y) - sine * (px_[i] - scene_.x)) / scene_.scale; });
  }

  Image paint(Domain domain) const {
    switch (domain) {
      case Domain::photo:
        return noisy(photo(), canvas_.pixel_noise);
      case Domain::sketch:
        return noisy(sketch(), 0.03F);
      case Domain::painting:
        return painting();
      case Domain::clipart:
        return clipart();
      case Domain::negative:
        return noisy(each(photo(), [](float v) { return 1 - v; }), canvas_.pixel_noise);
      case Domain::corrupted:
        return noisy(each(blurred(photo()), [](float v) { return (v - 0.5F) * 0.7F + 0.5F; }),
                     1.5F * canvas_.pixel_noise);
      case Domain::silhouette:
        return noisy(silhouette(), 0.5F * canvas_.pixel_noise);
    }
    return photo();
  }

 private:
  // Pixel centres in (-1, 1).
  float place(std::size_t i) const {
    return (static_cast<float>(i) + 0.5F) * (2 / static_cast<float>(canvas_.size)) - 1;
  }

  template <typename Value>
  Plane plane(const Value& value) const {
    Plane out(side_ * side_);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = value(i);
    return out;
  }

  // value(channel, pixel)
  template <typename Value>
  Image image(const Value& value) const {
    Image out;
    for (std::size_t c = 0; c < 3; ++c) out[c] = plane([&](std::size_t i) { return value(c, i); });
    return out;
  }

  template <typename Value>
  Image each(const Image& from, const Value& value) const {
    return image([&](std::size_t c, std::size_t i) { return value(from[c][i]); });
  }

  Image noisy(const Image& from, float deviation) const {
    return image(
        [&](std::size_t c, std::size_t i) { return from[c][i] + deviation * canvas_.noise[c * side_ * side_ + i]; });
  }

  // To the contour, positive inside.
  Plane distance() const {
    return plane([&](std::size_t i) {
      const float rho = std::max(std::sqrt(x_[i] * x_[i] + y_[i] * y_[i]), 1e-6F);
      const float cos1 = x_[i] / rho, sin1 = y_[i] / rho;
      float cos_k = cos1 * cos1 - sin1 * sin1, sin_k = 2 * sin1 * cos1;  // of 2 phi
      float r = 1;
      for (std::size_t k = 0; k < kHarmonics; ++k) {
        r = r + scene_.cosine[k] * cos_k + scene_.sine[k] * sin_k;
        const float next = cos_k * cos1 - sin_k * sin1;
        sin_k = sin_k * cos1 + cos_k * sin1;
        cos_k = next;
      }
      return (0.55F * std::min(std::max(r, 0.3F), 1.7F) - rho) * scene_.scale;
    });
  }

  // 1 inside the contour.
  Plane mask(const Plane& distance) const {
    return plane([&](std::size_t i) { return sigmoid(distance[i] / 0.03F); });
  }

  // In (-1, 1).
  Plane texture() const {
    Plane sum(side_ * side_);
    float power = 0;
    for (std::size_t j = 0; j < kWaves; ++j) {
      const float turns = scene_.angle[j] / kTurn, cosine = cosine_of_turns(turns), sine = sine_of_turns(turns);
      const float frequency = scene_.frequency[j], phase = scene_.u[4 + j], weight = scene_.weight[j];
      sum = plane([&](std::size_t i) {
        return sum[i] + weight * sine_of_turns(frequency * (cosine * x_[i] + sine * y_[i]) + phase);
      });
      power += weight * weight;
    }
    const float gain = 1.5F / std::sqrt(power / 2);
    return plane([&](std::size_t i) { return elementary::hyperbolic_tangent(gain * sum[i]); });
  }

  // Of the ground, in (-1, 1).
  Plane clutter() const {
    Plane sum(side_ * side_);
    for (std::size_t j = 0; j < 2; ++j) {
      const float turns = scene_.u[8 + j] / 2, cosine = cosine_of_turns(turns), sine = sine_of_turns(turns);
      const float frequency = 0.5F + 3 * scene_.u[10 + j], phase = scene_.u[12 + j];
      sum = plane(
          [&](std::size_t i) { return sum[i] + sine_of_turns(frequency * (cosine * px_[i] + sine * py_[i]) + phase); });
    }
    return plane([&](std::size_t i) { return elementary::hyperbolic_tangent(sum[i]); });
  }

  void occlude(Image& on) const {
    for (std::size_t o = 0; o < static_cast<std::size_t>(canvas_.occluders); ++o) {
      const std::size_t first = 32 + 6 * o;
      const float cx = 1.6F * scene_.u[first] - 0.8F, cy = 1.6F * scene_.u[first + 1] - 0.8F;
      const float radius = 0.08F + 0.16F * scene_.u[first + 2];
      const Colour colour = scene_.colour(first + 3);
      const Plane inside = plane([&](std::size_t i) {
        const float dx = px_[i] - cx, dy = py_[i] - cy;
        return sigmoid((radius - std::sqrt(dx * dx + dy * dy)) / 0.03F);
      });
      on = image([&](std::size_t c, std::size_t i) { return mix(on[c][i], colour[c], inside[i]); });
    }
  }

  // What a camera without noise sees.
  Image photo() const {
    const Plane figure = texture(), ground = clutter(), inside = mask(distance());
    const Colour second_ground = scene_.colour(27);
    Image seen = image([&](std::size_t c, std::size_t i) {
      const float behind = mix(second_ground[c], scene_.ground[c], (1 + 0.8F * ground[i]) / 2);
      return mix(behind, mix(scene_.second[c], scene_.first[c], (1 + figure[i]) / 2), inside[i]);
    });
    occlude(seen);
    const float turns = scene_.u[50], cosine = cosine_of_turns(turns), sine = sine_of_turns(turns);
    const float strength = 0.4F * scene_.u[51];
    const Plane light = plane([&](std::size_t i) { return 1 + strength * (cosine * px_[i] + sine * py_[i]); });
    return image([&](std::size_t c, std::size_t i) { return seen[c][i] * light[i]; });
  }

  // How much of an outline of some width a pixel shows.
  Plane outline(const Plane& distance, float width) const {
    return plane([&](std::size_t i) {
      const float relative = distance[i] / width;
      return exponential(-(relative * relative));
    });
  }

  // Outlines and dark texture bands on paper; no occluders.
  Image sketch() const {
    const Plane figure = texture(), contour = distance(), inside = mask(contour), edge = outline(contour, 0.06F);
    const Plane ink = plane([&](std::size_t i) {
      const float bands = sigmoid((figure[i] - 0.55F) / 0.12F) * inside[i];
      return (1 - 0.9F * edge[i]) * (1 - 0.55F * bands);
    });
    const Colour paper = scene_.colour(56);
    return image([&](std::size_t c, std::size_t i) { return ink[i] * (0.92F + 0.08F * paper[c]); });
  }

  // Rotated colour channels, a wash, coarse grain, four levels.
  Image painting() const {
    const Image from = photo();
    const Colour wash = scene_.colour(56);
    const Image shifted = image([&](std::size_t c, std::size_t i) { return washed(from[(c + 1) % 3][i], wash[c]); });
    return each(noisy(blurred(shifted), canvas_.pixel_noise),
                [](float v) { return (std::floor(std::min(std::max(v, 0.F), 0.999F) * 4) + 0.5F) / 4; });
  }

  // Flat two-tone figure with a black outline on a pale ground.
  Image clipart() const {
    const Plane figure = texture(), contour = distance(), inside = mask(contour), edge = outline(contour, 0.05F);
    const Plane tone = plane([&](std::size_t i) { return sigmoid(10 * figure[i]); });
    return image([&](std::size_t c, std::size_t i) {
      const float flat = mix(scene_.second[c], scene_.first[c], tone[i]);
      return mix(0.6F + 0.4F * scene_.ground[c], flat, inside[i]) * (1 - 0.85F * edge[i]);
    });
  }

  Image silhouette() const {
    const Plane inside = mask(distance());
    return image([&](std::size_t c, std::size_t i) { return mix(scene_.ground[c], scene_.first[c], inside[i]); });
  }

  // The mean of 3 x 3 pixels; borders repeat.
  Image blurred(const Image& from) const {
    const auto near = [&](std::size_t i, std::size_t step) {  // i - 1, i or i + 1 for step 0, 1 or 2
      return std::min(std::max<std::size_t>(i + step, 1) - 1, side_ - 1);
    };
    return image([&](std::size_t c, std::size_t i) {
      float sum = 0;
      for (std::size_t down = 0; down < 3; ++down) {
        for (std::size_t across = 0; across < 3; ++across) {
          sum += from[c][near(i / side_, down) * side_ + near(i % side_, across)];
        }
      }
      return sum / 9;
    });
  }

  const Scene& scene_;
  const Canvas& canvas_;
  std::size_t side_;
  Plane px_, py_;  // pixel centres
  Plane x_, y_;    // the same in the figure's frame
};

}  // namespace

void draw_scene(const Scene& scene, Domain domain, const Canvas& canvas, std::uint8_t* pixels) {
  for (const Plane& channel : Painter(scene, canvas).paint(domain)) {
    for (const float value : channel) {
      *pixels++ = static_cast<std::uint8_t>(elementary::nearest(std::min(std::max(value, 0.F), 1.F) * 255));
    }
  }
}

Colour shown_colour(const Scene& scene, const Colour& colour, Domain domain) {
  const Colour wash = scene.colour(56);
  Colour out = colour;
  for (std::size_t c = 0; c < 3; ++c) {
    if (domain == Domain::painting) out[c] = washed(colour[(c + 1) % 3], wash[c]);
    if (domain == Domain::negative) out[c] = 1 - colour[c];
    if (domain == Domain::corrupted) out[c] = (colour[c] - 0.5F) * 0.7F + 0.5F;
  }
  return out;
}

}  // namespace nmlbench::plugins
