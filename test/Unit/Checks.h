// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Counts what holds and what does not.
#ifndef TAMIS_TEST_UNIT_CHECKS_H
#define TAMIS_TEST_UNIT_CHECKS_H

#include "llvm/ADT/Twine.h"
#include "llvm/Support/raw_ostream.h"

inline int cases = 0, failures = 0;

/// One more case; `what` is named where it does not hold.
inline void expect(bool holds, const llvm::Twine &what) {
  ++cases;
  failures += !holds;
  if (!holds)
    llvm::errs() << what << "\n";
}

/// Prints the counts; the exit status of the program.
inline int report() {
  llvm::outs() << cases << " checks, " << failures << " failures\n";
  return failures != 0;
}

#endif // TAMIS_TEST_UNIT_CHECKS_H
