// For code that names the instructions it wants.
//
//   NMLBENCH_VECTOR_CLONES   before a function: compiled for AVX-512, for AVX2 and for any processor, chosen when the
//                            library is loaded
//   NMLBENCH_X86             <immintrin.h> is there; a function that uses it needs its own target attribute, and a
//                            caller that asks the processor
//   NMLBENCH_AVX512F         such an attribute
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define NMLBENCH_VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define NMLBENCH_VECTOR_CLONES
#endif

#if defined(__x86_64__) && defined(__GNUC__)
#define NMLBENCH_X86 1
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 in its own immintrin.h (bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#define NMLBENCH_AVX512F __attribute__((target("avx512f")))
#endif
