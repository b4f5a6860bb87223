#include "cli/run_options.h"

namespace nmlbench::cli {

void add_run_options(CLI::App& verb, RunOptions& options) {
  add_matrix_options(verb, options.matrix);
  verb.add_option("--db", options.db, "Results database")->envname("NMLBENCH_DB")->capture_default_str();
  verb.add_flag("--retry-failed", options.retry_failed, "Run cells again that failed before");
  verb.add_flag("--fail-fast", options.fail_fast, "Stop at the first failure");
  verb.add_flag("--no-predictions", options.no_predictions,
                "Do not keep what each head answers for each test sample (1 to 2 bytes for each)")
      ->envname("NMLBENCH_NO_PREDICTIONS");
  verb.add_flag("--keep-probabilities", options.keep_probabilities,
                "Keep the probability of every class for each test sample and each row held out by [selection], about "
                "1.7 bytes for each; `posthoc` asks for them")
      ->envname("NMLBENCH_KEEP_PROBABILITIES");
  verb.add_option("--stack-heads", options.stack_heads, "Heads that train together at most; 0 measures what is fast")
      ->envname("NMLBENCH_STACK_HEADS")
      ->check(CLI::Range(0, 1 << 20));
}

}  // namespace nmlbench::cli
