// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The memory that mapped models occupy.
#ifndef TAMIS_IMPORT_MAPPEDFILES_H
#define TAMIS_IMPORT_MAPPEDFILES_H

namespace mlir::tamis {

/// Gives the pages of all mapped models and their external data back to the
/// system. Nothing changes but memory: who reads them again reads the file
/// again, most often from the system's cache. May be called at any time.
void releaseMappedPages();

} // namespace mlir::tamis

#endif // TAMIS_IMPORT_MAPPEDFILES_H
