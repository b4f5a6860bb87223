// The Beta(a, a) distribution, of which mixup and cutmix draw their shares.
#pragma once

#include <boost/math/distributions/beta.hpp>

namespace nmlbench {

// Its quantile at u in [0, 1): a draw, where u is a uniform one.
inline double symmetric_beta(double a, double u) {
  return u > 0 ? boost::math::quantile(boost::math::beta_distribution<double>(a, a), u) : 0.0;
}

}  // namespace nmlbench
