#include "glue.h"
#include "glue_x.h"
#include "text_file.h"

#include <nmlbench/plugin.h>

using namespace nmlbench::plugins;
using nmlbench::entry;

NMLBENCH_PLUGINS("nmlbench-text", "0.1.0", "Apache-2.0", "",
                 entry<TextFile>("text-file", 1, "labelled texts in one CSV, TSV or JSON-lines file", ""),
                 entry<Glue>("glue", 1, "GLUE: nine tasks on English sentences, with their metrics",
                             "Wang et al. 2019, arXiv 1804.07461"),
                 entry<GlueX>("glue-x", 1, "GLUE-X: other test sets for the tasks of GLUE",
                              "Yang et al. 2023, arXiv 2211.08073"));
