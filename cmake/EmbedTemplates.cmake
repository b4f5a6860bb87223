# Writes OUT, a header with the plugin templates of SOURCE as strings. cmake -DSOURCE=.. -DOUT=.. -P
function(embed file variable)
  file(READ ${SOURCE}/${file} text)
  file(APPEND ${OUT} "inline constexpr const char* ${variable} = R\"template(${text})template\";\n")
endfunction()

file(WRITE ${OUT} "#pragma once\n\n#include <string>\n\nnamespace nmlbench::cli::templates {\n\n")
embed(CMakeLists.txt.in kCMakeLists)
embed(README.md.in kReadme)
embed(encoder.cpp.in kEncoder)
embed(noise.cpp.in kNoise)
embed(tuner.cpp.in kTuner)
embed(dataset.cpp.in kDataset)
file(APPEND ${OUT} "\ninline const char* source_of(const std::string& kind) {\n"
  "  return kind == \"encoder\" ? kEncoder : kind == \"noise\" ? kNoise : kind == \"tuner\" ? kTuner : kDataset;\n}\n\n"
  "}  // namespace nmlbench::cli::templates\n")
