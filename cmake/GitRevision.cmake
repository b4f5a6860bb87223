# Writes OUT, a source file that defines the revision of SOURCE, when it changed. Run at build time: cmake -DSOURCE=.. -DOUT=.. -P
execute_process(COMMAND git describe --always --dirty --abbrev=12 --exclude=* WORKING_DIRECTORY ${SOURCE}
  OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(revision "unknown")
endif()
file(WRITE ${OUT}.tmp "namespace nmlbench::cli {
const char* git_revision() {
  return \"${revision}\";
}
}\n")
file(COPY_FILE ${OUT}.tmp ${OUT} ONLY_IF_DIFFERENT)
