// For clang alone (./dev lint, ./dev fuzz), which cannot read LibTorch 1.13 with libstdc++'s constexpr std::vector of
// C++20, which it instantiates for a type that is not complete yet. The same vector without constexpr.
#pragma GCC system_header
#pragma push_macro("_GLIBCXX20_CONSTEXPR")
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
#include_next <bits/stl_vector.h>
#pragma pop_macro("_GLIBCXX20_CONSTEXPR")
