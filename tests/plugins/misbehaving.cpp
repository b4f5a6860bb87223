// Plugins that load and then go wrong: exceptions, numbers that are none, broken promises.
#include <nmlbench/gradient_tuner.h>
#include <nmlbench/plugin.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace nmlbench;

// A nearest-class-mean tuner; where `fails` says so, only for heads of an odd rank in their stack.
class Base : public Tuner {
 public:
  static constexpr ParamSpec kParams[] = {real("lr", "0.1", "ignored").per_head()};
  explicit Base(const Params&) {}

  void init(const StackShape& shape, const std::vector<HeadSpec>& heads, torch::Device device) override {
    shape_ = shape;
    heads_ = heads;
    weights_ = torch::zeros({shape.heads(), shape.classes, shape.dim}, torch::device(device));
  }
  FitReport fit(const TrainingSet& data, const Context&) override {
    const std::int64_t g = shape_.heads_per_unit;
    for (std::int64_t unit = 0; unit < shape_.units; ++unit) {
      const Minibatch all = data.gather(unit, torch::arange(data.size(unit)).unsqueeze(0));
      const torch::Tensor onehot = torch::one_hot(all.labels(), shape_.classes).to(torch::kFloat32);
      weights_.narrow(0, unit * g, g)
          .copy_(onehot.transpose(1, 2).bmm(all.features()) / onehot.sum(1).unsqueeze(-1).clamp_min(1));
    }
    return {torch::zeros({1, shape_.heads()}), shape_.heads()};
  }
  Prediction predict(const torch::Tensor& x, std::int64_t first_unit) override {
    const Minibatch batch{x, {}, shape_.heads_per_unit};
    const std::int64_t heads = x.size(0) * shape_.heads_per_unit;
    return {-torch::cdist(batch.features(), weights_.narrow(0, first_unit * shape_.heads_per_unit, heads)), {}};
  }

 protected:
  StackShape shape_;
  std::vector<HeadSpec> heads_;
  torch::Tensor weights_;
};

// What a plugin can do to its process.
void misbehave(const std::string& how) {
  if (how == "exit") std::exit(0);
  if (how == "abort") std::abort();
  if (how == "segfault") std::raise(SIGSEGV);
  if (how == "complain") {
    std::fprintf(stderr, "one thing\nthe\tdog \x1b[31mate it\n");
    std::exit(3);
  }
  if (how == "throw") throw 42;
  if (how == "throw-in-thread") std::thread([] { throw 42; }).join();
  if (how == "hang") {
    const std::atomic<bool> never{false};
    while (!never.load(std::memory_order_relaxed)) continue;
  }
  if (how == "allocate") {
    std::vector<torch::Tensor> kept;
    for (;;) kept.push_back(torch::ones({1 << 24}));
  }
  if (how == "chatter") {
    const std::string line(999, '.');
    for (int i = 0; i < 1000; ++i) {
      std::printf("%s\n", line.c_str());
      std::fprintf(stderr, "%s\n", line.c_str());
    }
  }
}

constexpr const char* kHows = "nothing|exit|abort|segfault|complain|throw|throw-in-thread|hang|allocate|chatter";

// A tuner that works until it does `how` in `where`, with heads of an lr above 1 only.
class Misbehaves : public Base {
 public:
  static constexpr ParamSpec kParams[] = {choice("how", "nothing", kHows, "what it does"),
                                          choice("where", "fit", "constructor|init|fit|predict", "and when"),
                                          real("lr", "5", "up to 1 it behaves").range(0, 100).per_head()};
  explicit Misbehaves(const Params& params) : Base(params), how_(params.text("how")), where_(params.text("where")) {
    if (where_ == "constructor") misbehave(how_);
  }
  void init(const StackShape& shape, const std::vector<HeadSpec>& heads, torch::Device device) override {
    Base::init(shape, heads, device);
    at("init");
  }
  FitReport fit(const TrainingSet& data, const Context& context) override {
    at("fit");
    return Base::fit(data, context);
  }
  Prediction predict(const torch::Tensor& x, std::int64_t first_unit) override {
    at("predict");
    return Base::predict(x, first_unit);
  }

 private:
  void at(const char* place) const {
    for (const HeadSpec& head : heads_) {
      if (where_ == place && head.params.real("lr") > 1) misbehave(how_);
    }
  }
  std::string how_, where_;
};

// Mean colours, unless it does `how`.
class MisbehavingEncoder : public Encoder {
 public:
  static constexpr ParamSpec kParams[] = {choice("how", "nothing", kHows, "what it does"),
                                          choice("where", "features", "constructor|build|features", "and when")};
  explicit MisbehavingEncoder(const Params& params) : how_(params.text("how")), where_(params.text("where")) {
    if (where_ == "constructor") misbehave(how_);
  }
  void build(const InputInfo&, const Stream&) override {
    if (where_ == "build") misbehave(how_);
  }
  InputSpec input() const override { return {}; }
  std::int64_t feature_dim() const override { return 3; }
  bool trainable() const override { return false; }
  torch::Tensor features(const Batch& batch) override {
    if (where_ == "features") misbehave(how_);
    return batch.x.mean({2, 3});
  }

 private:
  std::string how_, where_;
};

// Symmetric noise of a kind, unless it does `how`.
class MisbehavingNoise : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {choice("how", "nothing", kHows, "what it does"),
                                          choice("where", "corrupt", "constructor|corrupt", "and when")};
  explicit MisbehavingNoise(const Params& params) : how_(params.text("how")), where_(params.text("where")) {
    if (where_ == "constructor") misbehave(how_);
  }
  NoiseOutput corrupt(const NoiseInput& input, const Stream&) override {
    if (where_ == "corrupt") misbehave(how_);
    return input.targets.clone();
  }

 private:
  std::string how_, where_;
};

class MisbehavingData : public Dataset {
 public:
  static constexpr ParamSpec kParams[] = {choice("how", "nothing", kHows, "what it does"),
                                          choice("where", "samples", "open|samples", "and when")};
  explicit MisbehavingData(const Params& params) : how_(params.text("how")), where_(params.text("where")) {}
  SplitInfo open() override {
    if (where_ == "open") misbehave(how_);
    SplitInfo info;
    info.size = 40;
    info.classes = 4;
    info.sample_shape = {3, 16, 16};
    info.fits_in_memory = false;
    return info;
  }
  std::string digest() override { return "misbehaving-data"; }
  torch::Tensor labels() override { return torch::arange(40, torch::kInt64).remainder(4); }
  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) override {
    if (where_ == "samples") misbehave(how_);
    return (indices.view({-1, 1, 1, 1}).remainder(4) * 60)
        .expand({-1, 3, 16, 16})
        .to(torch::dtype(torch::kUInt8).device(device))
        .contiguous();
  }

 private:
  std::string how_, where_;
};

class ThrowsInFit : public Base {
 public:
  static constexpr ParamSpec kParams[] = {real("lr", "0.1", "above 1 it throws").range(0, 100).per_head()};
  using Base::Base;
  FitReport fit(const TrainingSet& data, const Context& context) override {
    for (const HeadSpec& head : heads_) {
      if (head.params.real("lr") > 1) throw std::runtime_error("this head cannot be fitted");
    }
    return Base::fit(data, context);
  }
};

// Memory for three heads.
class Hungry : public Base {
 public:
  using Base::Base;
  FitReport fit(const TrainingSet& data, const Context& context) override {
    if (shape_.heads() > 3) throw std::bad_alloc();
    return Base::fit(data, context);
  }
};

// Memory for 20 samples.
class HungryEncoder : public Encoder {
 public:
  explicit HungryEncoder(const Params&) {}
  void build(const InputInfo&, const Stream&) override {}
  InputSpec input() const override { return {}; }
  std::int64_t feature_dim() const override { return 3; }
  bool trainable() const override { return false; }
  torch::Tensor features(const Batch& batch) override {
    if (batch.x.size(0) > 20) throw std::bad_alloc();
    return batch.x.mean({2, 3});
  }
};

// Takes image-text pairs and trains on their images alone.
class IgnoresCaptions : public Encoder {
 public:
  explicit IgnoresCaptions(const Params&) {}
  void build(const InputInfo& input, const Stream& init) override {
    if (input.kind != SampleKind::image_text) throw Error("ignores-captions wants captions");
    weight_ = register_parameter("weight", init.normal({3}));
  }
  InputSpec input() const override { return {}; }
  std::int64_t feature_dim() const override { return 3; }
  torch::Tensor features(const Batch& batch) override { return weight_ * batch.x.mean({2, 3}); }
  torch::Tensor pretrain_loss(const Batch& batch) override { return features(batch).square().sum(); }

 private:
  torch::Tensor weight_;
};

class ThrowsOddThings : public Base {
 public:
  using Base::Base;
  FitReport fit(const TrainingSet&, const Context&) override { throw 42; }
};

// A gradient tuner in all but its losses.
class WrongLosses : public GradientTuner {
 public:
  static constexpr ParamSpec kParams[] = {NMLBENCH_GRADIENT_TUNER_PARAMS("0.1")};
  using GradientTuner::GradientTuner;

 protected:
  std::vector<ParameterSpec> parameters(const StackShape& shape) const override {
    return {{"w", {shape.classes, shape.dim}, true, [=](const Stream& init) {
               return init.normal({shape.classes, shape.dim});
             }}};
  }
  torch::Tensor loss(const Minibatch& batch) override {
    return logits(batch.features()).log_softmax(-1).mean(0).mean(0);  // of each class
  }
  Prediction on_predict(const torch::Tensor& x) override { return {logits(x), {}}; }

 private:
  torch::Tensor logits(const torch::Tensor& x) { return x.bmm(stack().value("w").transpose(1, 2)); }
};

// A gradient tuner whose steps throw what nobody expects.
class ThrowsInAStep : public WrongLosses {
 public:
  using WrongLosses::WrongLosses;

 protected:
  torch::Tensor loss(const Minibatch&) override { throw 42; }
};

// Never comes back and never looks at the stop flag.
class LoopsForEver : public Base {
 public:
  using Base::Base;
  FitReport fit(const TrainingSet&, const Context&) override {
    const std::atomic<bool> never{false};
    while (!never.load(std::memory_order_relaxed)) continue;
    return {};
  }
};

class ThrowsWhenAsked : public Base {
 public:
  using Base::Base;
  std::int64_t bytes_per_head(const StackShape&) const override { throw 42; }
};

// A dataset that throws what is no std::exception when it is opened.
class ThrowsOnOpen : public Dataset {
 public:
  explicit ThrowsOnOpen(const Params&) {}
  SplitInfo open() override { throw 42; }
  std::string digest() override { return "throws-on-open"; }
  torch::Tensor labels() override { return {}; }
  torch::Tensor samples(const torch::Tensor&, torch::Device) override { return {}; }
};

class PredictsNaN : public Base {
 public:
  static constexpr ParamSpec kParams[] = {real("lr", "0.1", "above 1 it predicts NaN").range(0, 100).per_head()};
  using Base::Base;
  Prediction predict(const torch::Tensor& x, std::int64_t first_unit) override {
    Prediction prediction = Base::predict(x, first_unit);
    for (std::int64_t h = 0; h < prediction.logits.size(0); ++h) {
      if (heads_[static_cast<std::size_t>(first_unit * shape_.heads_per_unit + h)].params.real("lr") > 1) {
        prediction.logits[h].fill_(std::numeric_limits<float>::quiet_NaN());
      }
    }
    return prediction;
  }
};

// Its result depends on who shares the stack.
class LooksAtItsNeighbours : public Base {
 public:
  using Base::Base;
  FitReport fit(const TrainingSet& data, const Context& context) override {
    FitReport report = Base::fit(data, context);
    weights_ = weights_ + weights_.mean(0, /*keepdim=*/true);
    return report;
  }
};

class ThrowsInFactory : public NoiseModel {
 public:
  explicit ThrowsInFactory(const Params&) { throw std::runtime_error("the factory is closed"); }
  NoiseOutput corrupt(const NoiseInput& input, const Stream&) override { return input.targets; }
};

class NonDeterministic : public NoiseModel {
 public:
  explicit NonDeterministic(const Params&) {}
  NoiseOutput corrupt(const NoiseInput& input, const Stream&) override {
    return torch::randint(input.classes, input.targets.sizes(), torch::kInt64);
  }
};

// Flips half of what it says, and to one class only although it says all of them.
class LiesAboutItself : public NoiseModel {
 public:
  explicit LiesAboutItself(const Params&) {}
  NoiseOutput corrupt(const NoiseInput& input, const Stream& draws) override {
    const torch::Tensor chosen = draws.at("coin").uniform({input.targets.size(0)}) < 0.2;
    return torch::where(chosen, (input.targets + 1).remainder(input.classes), input.targets);
  }
  bool draws_nothing() const override { return true; }
  std::optional<double> expected_rate(std::int64_t) const override { return 0.4; }
  torch::Tensor expected_transition(std::int64_t classes) const override {
    return torch::full({classes, classes}, 0.2 / static_cast<double>(classes - 1), torch::kFloat64).fill_diagonal_(0.8);
  }
};

class KeepsSamplesTwice : public NoiseModel {
 public:
  explicit KeepsSamplesTwice(const Params&) {}
  NoiseOutput corrupt(const NoiseInput& input, const Stream&) override {
    NoiseOutput output(input.targets.clone());
    output.kept = torch::zeros({input.targets.size(0)}, torch::kInt64);
    return output;
  }
};

// Ignores its ratio, which it calls otherwise than others do.
class NeverClean : public NoiseModel {
 public:
  static constexpr ParamSpec kParams[] = {real("rate", "0.2", "ignored").range(0, 1).as(Role::noise_ratio)};
  explicit NeverClean(const Params&) {}
  NoiseOutput corrupt(const NoiseInput& input, const Stream&) override {
    return (input.targets + 1).remainder(input.classes);
  }
};

class WrongLabels : public Dataset {
 public:
  explicit WrongLabels(const Params&) {}
  SplitInfo open() override {
    SplitInfo info;
    info.size = 4;
    info.classes = 2;
    info.sample_shape = {3, 8, 8};
    return info;
  }
  std::string digest() override { return "wrong-labels"; }
  torch::Tensor labels() override { return torch::tensor({0, 1, 2, 0}, torch::kInt64); }
  torch::Tensor samples(const torch::Tensor& indices, torch::Device device) override {
    return torch::zeros({indices.size(0), 3, 8, 8}, torch::dtype(torch::kUInt8).device(device));
  }
};

// Captions that belong to no image.
class WrongCaptions : public WrongLabels {
 public:
  using WrongLabels::WrongLabels;
  SplitInfo open() override {
    SplitInfo info = WrongLabels::open();
    info.kind = SampleKind::image_text;
    return info;
  }
  std::vector<Text> texts(const torch::Tensor&) override { return {{"alone", {}}}; }
};

}  // namespace

NMLBENCH_PLUGINS("misbehaving", "1.0.0", "MIT", "", entry<Misbehaves>("misbehaves", 1, "for tests", ""),
                 entry<MisbehavingEncoder>("misbehaving-encoder", 1, "for tests", ""),
                 entry<MisbehavingNoise>("misbehaving-noise", 1, "for tests", ""),
                 entry<MisbehavingData>("misbehaving-data", 1, "for tests", ""),
                 entry<ThrowsInFit>("throws-in-fit", 1, "for tests", ""),
                 entry<ThrowsOddThings>("throws-odd-things", 1, "for tests", ""),
                 entry<Hungry>("hungry", 1, "for tests", ""), entry<WrongLosses>("wrong-losses", 1, "for tests", ""),
                 entry<ThrowsInAStep>("throws-in-a-step", 1, "for tests", ""),
                 entry<LoopsForEver>("loops-for-ever", 1, "for tests", ""),
                 entry<ThrowsWhenAsked>("throws-when-asked", 1, "for tests", ""),
                 entry<ThrowsOnOpen>("throws-on-open", 1, "for tests", ""),
                 entry<HungryEncoder>("hungry-encoder", 1, "for tests", ""),
                 entry<IgnoresCaptions>("ignores-captions", 1, "for tests", ""),
                 entry<PredictsNaN>("predicts-nan", 1, "for tests", ""),
                 entry<LooksAtItsNeighbours>("looks-at-its-neighbours", 1, "for tests", ""),
                 entry<ThrowsInFactory>("throws-in-factory", 1, "for tests", ""),
                 entry<NonDeterministic>("non-deterministic", 1, "for tests", ""),
                 entry<LiesAboutItself>("lies-about-itself", 1, "for tests", ""),
                 entry<KeepsSamplesTwice>("keeps-samples-twice", 1, "for tests", ""),
                 entry<NeverClean>("never-clean", 1, "for tests", ""),
                 entry<WrongLabels>("wrong-labels", 1, "for tests", ""),
                 entry<WrongCaptions>("wrong-captions", 1, "for tests", ""));
