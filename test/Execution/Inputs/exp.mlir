// A model of fixed shape on one thread, compiled for three machines: y = exp(x)
// through a half, plus the number of the variant that ran.
module attributes {
  tamis.interface = {
    inputs = [{name = "x", dtype = "float32", dims = [8]}],
    outputs = [{name = "y", dtype = "float32", dims = [8]},
               {name = "variant", dtype = "int32", dims = []}],
    threads = 1 : i64}
} {
  llvm.func @expf(f32) -> f32

  llvm.func @body(%inputs: !llvm.ptr, %outputs: !llvm.ptr, %variant: i32) attributes {always_inline} {
    %zero = llvm.mlir.constant(0 : i64) : i64
    %one = llvm.mlir.constant(1 : i64) : i64
    %eight = llvm.mlir.constant(8 : i64) : i64
    %x = llvm.load %inputs : !llvm.ptr -> !llvm.ptr
    %y = llvm.load %outputs : !llvm.ptr -> !llvm.ptr
    %p1 = llvm.getelementptr %outputs[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %which = llvm.load %p1 : !llvm.ptr -> !llvm.ptr
    llvm.store %variant, %which : i32, !llvm.ptr
    llvm.br ^loop(%zero : i64)
  ^loop(%i: i64):
    %more = llvm.icmp "slt" %i, %eight : i64
    llvm.cond_br %more, ^body, ^end
  ^body:
    %px = llvm.getelementptr %x[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %value = llvm.load %px : !llvm.ptr -> f32
    %half = llvm.fptrunc %value : f32 to f16
    %full = llvm.fpext %half : f16 to f32
    %result = llvm.call @expf(%full) : (f32) -> f32
    %py = llvm.getelementptr %y[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    llvm.store %result, %py : f32, !llvm.ptr
    %next = llvm.add %i, %one : i64
    llvm.br ^loop(%next : i64)
  ^end:
    llvm.return
  }

  llvm.func @tamis_compute_0(%run: !llvm.ptr, %inputs: !llvm.ptr, %outputs: !llvm.ptr,
                             %dims: !llvm.ptr, %workspace: !llvm.ptr, %weights: !llvm.ptr) -> i32
      attributes {tamis.target = #tamis.target<"x86_64", ["sse2"]>} {
    %ok = llvm.mlir.constant(0 : i32) : i32
    llvm.call @body(%inputs, %outputs, %ok) : (!llvm.ptr, !llvm.ptr, i32) -> ()
    llvm.return %ok : i32
  }
  llvm.func @tamis_compute_1(%run: !llvm.ptr, %inputs: !llvm.ptr, %outputs: !llvm.ptr,
                             %dims: !llvm.ptr, %workspace: !llvm.ptr, %weights: !llvm.ptr) -> i32
      attributes {tamis.target = #tamis.target<"x86_64", ["avx2", "f16c", "fma"]>} {
    %ok = llvm.mlir.constant(0 : i32) : i32
    %one = llvm.mlir.constant(1 : i32) : i32
    llvm.call @body(%inputs, %outputs, %one) : (!llvm.ptr, !llvm.ptr, i32) -> ()
    llvm.return %ok : i32
  }
  // No processor has both of these.
  llvm.func @tamis_compute_2(%run: !llvm.ptr, %inputs: !llvm.ptr, %outputs: !llvm.ptr,
                             %dims: !llvm.ptr, %workspace: !llvm.ptr, %weights: !llvm.ptr) -> i32
      attributes {tamis.target = #tamis.target<"x86_64", ["xop", "amx-tile"]>} {
    %ok = llvm.mlir.constant(0 : i32) : i32
    %two = llvm.mlir.constant(2 : i32) : i32
    llvm.call @body(%inputs, %outputs, %two) : (!llvm.ptr, !llvm.ptr, i32) -> ()
    llvm.return %ok : i32
  }
  llvm.func @tamis_workspace_0(%dims: !llvm.ptr) -> i64 {
    %bytes = llvm.mlir.constant(0 : i64) : i64
    llvm.return %bytes : i64
  }
  llvm.func @tamis_workspace_1(%dims: !llvm.ptr) -> i64 {
    %bytes = llvm.mlir.constant(0 : i64) : i64
    llvm.return %bytes : i64
  }
  llvm.func @tamis_workspace_2(%dims: !llvm.ptr) -> i64 {
    %bytes = llvm.mlir.constant(0 : i64) : i64
    llvm.return %bytes : i64
  }
  llvm.func @tamis_output_dims(%dims: !llvm.ptr) {
    %eight = llvm.mlir.constant(8 : i64) : i64
    %p0 = llvm.getelementptr %dims[1] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %eight, %p0 : i64, !llvm.ptr
    llvm.return
  }
}
