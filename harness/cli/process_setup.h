// Settings of the process that have to be made before anything else runs.
#pragma once

namespace nmlbench::cli {

// OpenMP threads that wait actively slow everything down as soon as another process is busy, by up to 100 times;
// OpenMP reads its settings when it is loaded, so the program starts itself once more with OMP_WAIT_POLICY=passive,
// unless the user has set it. And freed memory is kept: returning the buffers of each step to the system and faulting
// them in again costs a tenth of the time.
void set_up_process(char** argv);

}  // namespace nmlbench::cli
