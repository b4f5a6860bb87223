// For clang alone (./dev lint, ./dev fuzz): it cannot read LibTorch 1.13 with libstdc++'s constexpr std::vector of
// C++20, which it instantiates for a type that is not complete yet. The same vector without constexpr.
#pragma GCC system_header
#pragma push_macro("_GLIBCXX20_CONSTEXPR")
#undef _GLIBCXX20_CONSTEXPR
#define _GLIBCXX20_CONSTEXPR
#define __fill_a1 fill_bits  // is declared constexpr elsewhere
#include_next <bits/stl_bvector.h>
#undef __fill_a1
#pragma pop_macro("_GLIBCXX20_CONSTEXPR")
#ifndef NMLBENCH_FILLS_BITS
#define NMLBENCH_FILLS_BITS
namespace std {  // what std::fill calls under the name of the declaration, for the programs of ./dev fuzz
__attribute__((used)) inline void fill_bits_as_declared(_Bit_iterator first, _Bit_iterator last,
                                                        const bool& bit) asm("_ZSt9__fill_a1St13_Bit_iteratorS_RKb");
inline void fill_bits_as_declared(_Bit_iterator first, _Bit_iterator last, const bool& bit) {
  fill_bits(first, last, bit);
}
}  // namespace std
#endif
