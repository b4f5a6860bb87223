// For clang alone (./dev lint, ./dev fuzz): what LibTorch's headers need of OpenMP, whose own header belongs to GCC.
#pragma GCC system_header
extern "C" {
int omp_get_max_threads();
int omp_get_num_threads();
int omp_get_thread_num();
int omp_in_parallel();
void omp_set_num_threads(int);
}
