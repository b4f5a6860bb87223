#include "support/npy.h"
#include "support/plugins.h"

#include <nmlbench/digest.h>

#include <cstring>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace nmlbench {
namespace {

using ::testing::HasSubstr;
using testing::npy_bytes;
using testing::Scratch;
using torch::Tensor;

class Features : public ::testing::Test {
 protected:
  struct Read {
    SplitInfo info;
    Tensor x, y;
  };
  Read read(testing::Values values = {}) {
    values.emplace_back("x", (scratch_ / x_name_).string());
    if (!y_name_.empty()) values.emplace_back("y", (scratch_ / y_name_).string());
    const auto dataset = make_dataset(testing::plugin(PluginKind::dataset, "features", values));
    Read out;
    out.info = dataset->open();
    out.x = dataset->samples(torch::arange(out.info.size), torch::kCPU);
    out.y = dataset->labels();
    return out;
  }
  std::string failure(const testing::Values& values = {}) {
    try {
      read(values);
    } catch (const DataError& error) {
      return error.what();
    }
    return "no error";
  }
  void write(const std::string& x, const std::string& y) {
    scratch_.write(x_name_, x);
    scratch_.write(y_name_, y);
  }

  Scratch scratch_;
  std::string x_name_ = "x.npy", y_name_ = "y.npy";
  Tensor x_ = torch::randn({5, 3});
  Tensor y_ = torch::tensor({0, 2, 1, 0, 2}, torch::kInt64);
};

TEST_F(Features, Float32ComesBackBitForBit) {
  write(npy_bytes(x_, "<f4"), npy_bytes(y_, "<i8"));
  const Read got = read();
  EXPECT_TRUE(torch::equal(got.x, x_));
  EXPECT_TRUE(torch::equal(got.y, y_));
  EXPECT_EQ(got.info.classes, 3);
}

TEST_F(Features, OtherTypesAndFortranOrder) {
  write(npy_bytes(x_.to(torch::kFloat64), "<f8"), npy_bytes(y_.to(torch::kInt32), "<i4"));
  EXPECT_TRUE(torch::equal(read().x, x_));
  write(npy_bytes(x_.to(torch::kFloat16), "<f2"), npy_bytes(y_.to(torch::kUInt8), "|u1"));
  EXPECT_TRUE(torch::equal(read().x, x_.to(torch::kFloat16).to(torch::kFloat32)));
  EXPECT_TRUE(torch::equal(read().y, y_));
  write(npy_bytes(x_, "<f4", /*fortran=*/true), npy_bytes(y_, "<i8"));
  EXPECT_TRUE(torch::equal(read().x, x_));
}

std::string safetensors(const std::string& header, const std::vector<Tensor>& data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  bytes += header;
  for (const Tensor& t : data) bytes.append(static_cast<const char*>(t.data_ptr()), t.nbytes());
  return bytes;
}

TEST_F(Features, SafetensorsHoldBoth) {
  x_name_ = "d.safetensors";
  y_name_ = "";
  const std::string header =
      R"({"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[5,3],"data_offsets":[0,60]},"y":{"dtype":"I64","shape":[5],"data_offsets":[60,100]}})";
  scratch_.write(x_name_, safetensors(header, {x_, y_}));
  const Read got = read();
  EXPECT_TRUE(torch::equal(got.x, x_));
  EXPECT_TRUE(torch::equal(got.y, y_));
  EXPECT_THAT(failure({{"x_name", "z"}}), HasSubstr("has no tensor \"z\""));
}

TEST_F(Features, SafetensorsThatLieAreRefused) {
  x_name_ = "d.safetensors";
  y_name_ = "";
  for (const char* entry : {R"({"dtype":"F32","shape":[5,3],"data_offsets":[0,6000]})",
                            R"({"dtype":"F32","shape":[5,4],"data_offsets":[0,60]})",
                            R"({"dtype":"F32","shape":[-5,3],"data_offsets":[0,60]})",
                            R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,60]})",
                            R"({"dtype":"Q7","shape":[5,3],"data_offsets":[0,60]})",
                            R"({"dtype":"F32","shape":"5","data_offsets":[0,60]})", R"({"shape":[5,3]})", "7"}) {
    scratch_.write(x_name_, safetensors(std::string(R"({"x":)") + entry + "}", {x_, y_}));
    EXPECT_THAT(failure(), HasSubstr("d.safetensors")) << entry;
  }
  scratch_.write(x_name_, std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10));
  EXPECT_THAT(failure(), HasSubstr("truncated"));
}

TEST_F(Features, NaNInfinityAndOverflowAreFound) {
  Tensor bad = x_.to(torch::kFloat64);
  bad[3][1] = 1e300;  // finite, but not as float32
  write(npy_bytes(bad, "<f8"), npy_bytes(y_, "<i8"));
  EXPECT_THAT(failure(), HasSubstr("row 3, column 1"));
  bad[3][1] = NAN;
  write(npy_bytes(bad, "<f8"), npy_bytes(y_, "<i8"));
  EXPECT_THAT(failure(), HasSubstr("row 3, column 1"));
}

TEST_F(Features, LabelsAreChecked) {
  write(npy_bytes(x_, "<f4"), npy_bytes(y_, "<i8"));
  EXPECT_THAT(failure({{"classes", std::int64_t{2}}}), HasSubstr("row 1 has label 2, outside [0, 2)"));
  Tensor negative = y_.clone();
  negative[4] = -1;
  write(npy_bytes(x_, "<f4"), npy_bytes(negative, "<i8"));
  EXPECT_THAT(failure(), HasSubstr("row 4 has label -1"));
  write(npy_bytes(x_, "<f4"), npy_bytes(y_.slice(0, 0, 4), "<i8"));
  EXPECT_THAT(failure(), HasSubstr("labels are an integer array [5]"));
  write(npy_bytes(x_, "<f4"), npy_bytes(x_, "<f4"));
  EXPECT_THAT(failure(), HasSubstr("labels are an integer array"));
  write(npy_bytes(y_, "<i8"), npy_bytes(y_, "<i8"));
  EXPECT_THAT(failure(), HasSubstr("float array [N, D]"));
}

TEST_F(Features, HostileHeadersAndLabelsAreRefused) {
  const std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3), }" + std::string(60000, ' ') + "\n";
  const auto with_header = [&](const std::string& text) {
    return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size() & 0xFF) +
           static_cast<char>(text.size() >> 8) + text +
           std::string(static_cast<const char*>(x_.data_ptr()), x_.nbytes());
  };
  write(with_header(header), npy_bytes(y_, "<i8"));
  EXPECT_TRUE(torch::equal(read().x, x_));  // padding of any length
  write(with_header(std::string(60000, '{')), npy_bytes(y_, "<i8"));
  EXPECT_THAT(failure(), HasSubstr("no Python dictionary"));
  Tensor huge = y_.clone();
  huge[2] = std::numeric_limits<std::int64_t>::max();
  write(npy_bytes(x_, "<f4"), npy_bytes(huge, "<i8"));
  EXPECT_THAT(failure({{"limit", std::int64_t{2}}}), HasSubstr("row 2 has label 9223372036854775807"));
}

TEST_F(Features, ALimitIsStratified) {
  write(npy_bytes(torch::randn({90, 2}), "<f4"), npy_bytes(torch::arange(90).remainder(3), "<i8"));
  const Read got = read({{"limit", std::int64_t{30}}});
  EXPECT_TRUE((torch::bincount(got.y) == 10).all().item<bool>());
}

TEST_F(Features, ALimitKeepsJustSoManyRows) {
  const auto kept = [&](std::int64_t limit) {
    const Tensor counts = torch::bincount(read({{"limit", limit}}).y, {}, 40);
    EXPECT_EQ(counts.sum().item<std::int64_t>(), limit);
    return counts;
  };
  write(npy_bytes(torch::randn({400, 2}), "<f4"), npy_bytes(torch::arange(400).remainder(40), "<i8"));
  EXPECT_EQ(kept(10).max().item<std::int64_t>(), 1);  // of as many classes as there are rows
  EXPECT_EQ(kept(60).min().item<std::int64_t>(), 1);
  const Tensor uneven = torch::cat(
      {torch::zeros({35}, torch::kInt64), torch::ones({35}, torch::kInt64), torch::full({30}, 2, torch::kInt64)});
  write(npy_bytes(torch::randn({100, 2}), "<f4"), npy_bytes(uneven, "<i8"));
  for (std::int64_t limit = 1; limit < 100; ++limit) {
    const Tensor counts = kept(limit).slice(0, 0, 3);
    const Tensor shares = torch::tensor({0.35, 0.35, 0.30}) * limit;
    EXPECT_LE((counts - shares).abs().max().item<double>(), 1.0) << limit;
  }
}

TEST_F(Features, ALimitThatWasRoundedIsOtherData) {
  const auto digest = [&](std::int64_t limit) {
    const auto dataset = make_dataset(testing::plugin(
        PluginKind::dataset, "features",
        {{"x", (scratch_ / "x.npy").string()}, {"y", (scratch_ / "y.npy").string()}, {"limit", limit}}));
    return dataset->digest();
  };
  write(npy_bytes(torch::ones({400, 2}), "<f4"), npy_bytes(torch::arange(400).remainder(40), "<i8"));
  const auto plain = [&](const char* limit) {
    Digest digest;
    digest.update("features/1").update(digest_of_file(scratch_ / "x.npy")).update(digest_of_file(scratch_ / "y.npy"));
    return digest.update("x").update("y").update("0").update(limit).update("0").hex();
  };
  EXPECT_EQ(digest(40), plain("40"));  // as it always was
  EXPECT_NE(digest(10), plain("10"));  // once 40 rows
}

TEST_F(Features, HeadersOfOtherWritersAreRead) {
  const auto x_with = [&](const std::string& header) {
    const std::string bytes = npy_bytes(x_, "<f4");
    const std::string text = header + std::string(118 - 1 - header.size(), ' ') + "\n";
    return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size()) + '\0' + text +
           bytes.substr(bytes.size() - x_.nbytes());
  };
  const std::string y = npy_bytes(y_, "<i8");
  write(x_with("{'descr': '<f4', 'fortran_order': False, 'shape': (5L, 3L), }"), y);  // Python 2
  EXPECT_TRUE(torch::equal(read().x, x_));
  write(x_with("{\"shape\": (5, 3), \"fortran_order\": False, \"descr\": \"<f4\"}"), y);
  EXPECT_TRUE(torch::equal(read().x, x_));
  write(x_with("{'descr': [('a', '<f4'), ('b', '<f4')], 'fortran_order': False, 'shape': (5,), }"), y);
  EXPECT_THAT(failure(), HasSubstr("x.npy: is a structured array"));
  write(x_with("{'descr': '>f4', 'fortran_order': False, 'shape': (5, 3), }"), y);
  EXPECT_THAT(failure(), HasSubstr("big-endian"));
  write(x_with("{'descr': '<f4', 'shape': (5, 3), }"), y);
  EXPECT_THAT(failure(), HasSubstr("has no 'fortran_order'"));
  for (const char* shape : {"(5, -3)", "(5.0, 3)", "(5,, 3)", "5, 3", "(5, 3"}) {
    write(x_with("{'descr': '<f4', 'fortran_order': False, 'shape': " + std::string(shape) + "}"), y);
    EXPECT_THAT(failure(), HasSubstr("shape")) << shape;
  }
}

TEST_F(Features, SizesThatFloat32CannotSquareAreRefused) {
  const std::string y = npy_bytes(y_, "<i8");
  Tensor x = x_.clone();
  x[3][1] = 1e18F;
  write(npy_bytes(x, "<f4"), y);
  EXPECT_THAT(failure(), HasSubstr("row 3, column 1 is beyond 1e15"));
  write(npy_bytes(x_ * 1e-30, "<f4"), y);
  EXPECT_THAT(failure(), HasSubstr("all features are below 1e-15"));
  write(npy_bytes(torch::zeros_like(x_), "<f4"), y);
  EXPECT_THAT(failure(), HasSubstr("all features are 0"));
}

TEST_F(Features, SafetensorsListTheirTensors) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"f":{"dtype":"F32","shape":[5,3],"data_offsets":[0,60]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  scratch_.write("x.safetensors", bytes + header + std::string(static_cast<const char*>(x_.data_ptr()), 60));
  x_name_ = "x.safetensors";
  y_name_ = "";
  EXPECT_THAT(failure(), HasSubstr("has no tensor \"x\"; it has f; `x_name` says"));
  EXPECT_THAT(failure({{"x_name", "__metadata__"}}), HasSubstr("has no tensor \"__metadata__\"; it has f;"));
  EXPECT_THAT(failure({{"x_name", "f"}}), HasSubstr("`y_name` says"));
}

TEST_F(Features, AnNpzIsNamed) {
  write(std::string("PK\3\4", 4) + std::string(40, '\0'), npy_bytes(y_, "<i8"));
  EXPECT_THAT(failure(), HasSubstr("np.savez"));
}

TEST_F(Features, PipesAreNotWaitedFor) {
  ASSERT_EQ(::mkfifo((scratch_ / "x.npy").c_str(), 0600), 0);
  scratch_.write("y.npy", npy_bytes(y_, "<i8"));
  EXPECT_THAT(failure(), HasSubstr("x.npy: is not a file"));
  EXPECT_THROW(digest_of_file(scratch_ / "x.npy"), DataError);
}

TEST_F(Features, GlueTasksAreFolders) {
  scratch_.write("glue/rte/validation_x.npy", npy_bytes(x_, "<f4"));
  scratch_.write("glue/rte/validation_y.npy", npy_bytes(y_, "<i8"));
  const auto open = [&](const char* task) {
    const auto dataset = make_dataset(
        testing::plugin(PluginKind::dataset, "glue-features",
                        {{"path", (scratch_ / "glue").string()}, {"task", task}, {"split", "validation"}}));
    const SplitInfo info = dataset->open();
    EXPECT_TRUE(torch::equal(dataset->samples(torch::arange(5), torch::kCPU), x_));
    return info;
  };
  EXPECT_EQ(open("rte").domain, "rte");
  EXPECT_EQ(open("rte").size, 5);
  EXPECT_THROW(open("snli"), DataError);
}

TEST_F(Features, EveryTruncationAndManyFlipsAreErrorsOrReadable) {
  const std::string whole = npy_bytes(x_, "<f4");
  scratch_.write(y_name_, npy_bytes(y_, "<i8"));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    scratch_.write(x_name_, whole.substr(0, length));
    EXPECT_THAT(failure(), HasSubstr("x.npy")) << length;
  }
  for (std::size_t i = 0; i < 128; ++i) {
    for (const char flip : {'\x01', '\x80'}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      scratch_.write(x_name_, bytes);
      failure();  // any message or none; no crash, no huge allocation
    }
  }
}

}  // namespace
}  // namespace nmlbench
