// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The interface through which an operation says which channels it ties.

#ifndef TAMIS_COMPRESS_PRUNABLEOPINTERFACE_TD
#define TAMIS_COMPRESS_PRUNABLEOPINTERFACE_TD

include "mlir/IR/Interfaces.td"

def PrunableOpInterface : OpInterface<"PrunableOpInterface"> {
  let cppNamespace = "::mlir::tamis";
  let description = [{
    An operation that stays right if channels of its tensors are removed,
    provided that those of the others go that depend on them. One without this
    interface keeps every axis of what it reads and makes.
  }];
  let methods = [
    InterfaceMethod<[{
      Ties the elements of the axes of operands and results that have to go
      together, and fixes those that must stay.
    }], "void", "tieChannels", (ins "::mlir::tamis::ChannelTies &":$ties)>
  ];
}

#endif // TAMIS_COMPRESS_PRUNABLEOPINTERFACE_TD
