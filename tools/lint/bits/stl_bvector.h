// For clang-tidy alone (./dev lint): clang cannot read LibTorch 1.13 with libstdc++'s constexpr std::vector of C++20,
// which it instantiates for a type that is not complete yet. The same vector without constexpr.
#pragma GCC system_header
#pragma push_macro("_GLIBCXX20_CONSTEXPR")
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
#define __fill_a1 fill_bits  // is declared constexpr elsewhere
#include_next <bits/stl_bvector.h>
#undef __fill_a1
#pragma pop_macro("_GLIBCXX20_CONSTEXPR")
