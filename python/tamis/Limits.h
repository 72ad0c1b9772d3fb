// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The machine's own limits, measured by loops that live in registers and one
// that reads memory. The benchmark runs them between the contestants: a share
// of the limit says more than a time, and a limit that moved says that the
// machine was disturbed.
#ifndef TAMIS_PYTHON_LIMITS_H
#define TAMIS_PYTHON_LIMITS_H

#include <string>
#include <vector>

namespace mlir::tamis {

/// Names of the loops this machine can run, the widest of each kind first:
/// "fma-avx512", "fma-avx2", "vnni-avx512", ..., "read".
std::vector<std::string> limitLoops();

/// Operations per second (two per multiply-add; of "read": bytes) of the loop
/// `name`, the best of the repeats that fit into `seconds`; 0 if the machine
/// does not have it.
double measureLimit(const std::string &name, double seconds);

} // namespace mlir::tamis

#endif // TAMIS_PYTHON_LIMITS_H
