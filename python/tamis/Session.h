// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compression session as a Python class.
#ifndef TAMIS_PYTHON_SESSION_H
#define TAMIS_PYTHON_SESSION_H

#include <nanobind/nanobind.h>

namespace mlir::tamis {

/// Adds the class Session to the module.
void bindSession(nanobind::module_ &m);

} // namespace mlir::tamis

#endif // TAMIS_PYTHON_SESSION_H
