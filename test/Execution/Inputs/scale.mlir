// What codegen hands to emission, written by hand: y = x * w[0] + w[1], one
// task per row, with an open batch dimension "n"; a second output whose size
// only the data decides: the values of y above zero.
module attributes {
  tamis.target = #tamis.target<"x86_64", ["sse2"]>,
  tamis.interface = {
    inputs = [{name = "x", dtype = "float32", dims = ["n", 4]}],
    outputs = [{name = "y", dtype = "float32", dims = ["n", 4]},
               {name = "positive", dtype = "float32", dims = ["?"]}],
    ranges = {n = array<i64: 1, 1000>},
    metadata = {author = "a \"quoted\" */ name"},
    producer = "by hand", threads = 2 : i64}
} {
  ml_program.global private @w(dense<[2.0, 1.0]> : tensor<2xf32>) : tensor<2xf32>
  ml_program.global private @v(dense<3.0> : tensor<100xf32>) : tensor<100xf32>

  llvm.func @tamis_rt_parallel(!llvm.ptr, !llvm.ptr, !llvm.ptr, i64)
  llvm.func @tamis_rt_alloc(!llvm.ptr, i64) -> !llvm.ptr
  llvm.func @tamis_rt_alloc_output(!llvm.ptr, i64, i64) -> !llvm.ptr
  // Not called, so it need not exist; a test calls it.
  llvm.func @nowhere(!llvm.ptr, i64)

  // args: x, y, w
  llvm.func @row(%args: !llvm.ptr, %task: i64) {
    %zero = llvm.mlir.constant(0 : i64) : i64
    %one = llvm.mlir.constant(1 : i64) : i64
    %four = llvm.mlir.constant(4 : i64) : i64
    %x = llvm.load %args : !llvm.ptr -> !llvm.ptr
    %py = llvm.getelementptr %args[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %y = llvm.load %py : !llvm.ptr -> !llvm.ptr
    %pw = llvm.getelementptr %args[2] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    %w = llvm.load %pw : !llvm.ptr -> !llvm.ptr
    %w0 = llvm.load %w : !llvm.ptr -> f32
    %pw1 = llvm.getelementptr %w[1] : (!llvm.ptr) -> !llvm.ptr, f32
    %w1 = llvm.load %pw1 : !llvm.ptr -> f32
    %first = llvm.mul %task, %four : i64
    llvm.br ^loop(%zero : i64)
  ^loop(%i: i64):
    %more = llvm.icmp "slt" %i, %four : i64
    llvm.cond_br %more, ^body, ^end
  ^body:
    %at = llvm.add %first, %i : i64
    %px = llvm.getelementptr %x[%at] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %value = llvm.load %px : !llvm.ptr -> f32
    %scaled = llvm.fmul %value, %w0 : f32
    %sum = llvm.fadd %scaled, %w1 : f32
    %pr = llvm.getelementptr %y[%at] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    llvm.store %sum, %pr : f32, !llvm.ptr
    %next = llvm.add %i, %one : i64
    llvm.br ^loop(%next : i64)
  ^end:
    llvm.return
  }

  llvm.func @tamis_compute_0(%run: !llvm.ptr, %inputs: !llvm.ptr, %outputs: !llvm.ptr,
                             %dims: !llvm.ptr, %workspace: !llvm.ptr, %weights: !llvm.ptr) -> i32 {
    %zero = llvm.mlir.constant(0 : i64) : i64
    %one = llvm.mlir.constant(1 : i64) : i64
    %four = llvm.mlir.constant(4 : i64) : i64
    %fzero = llvm.mlir.constant(0.0 : f32) : f32
    %limit = llvm.mlir.constant(1.0e30 : f32) : f32
    %ok = llvm.mlir.constant(0 : i32) : i32
    %index = llvm.mlir.constant(1 : i32) : i32
    %x = llvm.load %inputs : !llvm.ptr -> !llvm.ptr
    %y = llvm.load %outputs : !llvm.ptr -> !llvm.ptr
    // The arguments of the tasks lie in the workspace.
    llvm.store %x, %workspace : !llvm.ptr, !llvm.ptr
    %p1 = llvm.getelementptr %workspace[1] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    llvm.store %y, %p1 : !llvm.ptr, !llvm.ptr
    %p2 = llvm.getelementptr %workspace[2] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr
    llvm.store %weights, %p2 : !llvm.ptr, !llvm.ptr
    %n = llvm.load %dims : !llvm.ptr -> i64
    %row = llvm.mlir.addressof @row : !llvm.ptr
    llvm.call @tamis_rt_parallel(%run, %row, %workspace, %n) : (!llvm.ptr, !llvm.ptr, !llvm.ptr, i64) -> ()
    llvm.call @tamis_output_dims(%dims) : (!llvm.ptr) -> ()
    // The values above zero, gathered in a temporary of the largest size.
    %count = llvm.mul %n, %four : i64
    %bytes = llvm.mul %count, %four : i64
    %temporary = llvm.call @tamis_rt_alloc(%run, %bytes) : (!llvm.ptr, i64) -> !llvm.ptr
    llvm.br ^loop(%zero, %zero, %ok : i64, i64, i32)
  ^loop(%i: i64, %found: i64, %fault: i32):
    %more = llvm.icmp "slt" %i, %count : i64
    llvm.cond_br %more, ^body, ^end
  ^body:
    %pv = llvm.getelementptr %y[%i] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %value = llvm.load %pv : !llvm.ptr -> f32
    %positive = llvm.fcmp "ogt" %value, %fzero : f32
    %pt = llvm.getelementptr %temporary[%found] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    llvm.store %value, %pt : f32, !llvm.ptr
    %step = llvm.zext %positive : i1 to i64
    %after = llvm.add %found, %step : i64
    // A value beyond the limit stands for an index out of range.
    %beyond = llvm.fcmp "ogt" %value, %limit : f32
    %seen = llvm.select %beyond, %index, %fault : i1, i32
    %next = llvm.add %i, %one : i64
    llvm.br ^loop(%next, %after, %seen : i64, i64, i32)
  ^end:
    %result_bytes = llvm.mul %found, %four : i64
    %result = llvm.call @tamis_rt_alloc_output(%run, %one, %result_bytes) : (!llvm.ptr, i64, i64) -> !llvm.ptr
    "llvm.intr.memcpy"(%result, %temporary, %result_bytes) <{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ()
    %p3 = llvm.getelementptr %dims[4] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %found, %p3 : i64, !llvm.ptr
    llvm.return %fault : i32
  }

  llvm.func @tamis_workspace_0(%dims: !llvm.ptr) -> i64 {
    %bytes = llvm.mlir.constant(64 : i64) : i64
    llvm.return %bytes : i64
  }

  llvm.func @tamis_output_dims(%dims: !llvm.ptr) {
    %four = llvm.mlir.constant(4 : i64) : i64
    %unknown = llvm.mlir.constant(-1 : i64) : i64
    %n = llvm.load %dims : !llvm.ptr -> i64
    %p0 = llvm.getelementptr %dims[2] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %n, %p0 : i64, !llvm.ptr
    %p1 = llvm.getelementptr %dims[3] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %four, %p1 : i64, !llvm.ptr
    %p2 = llvm.getelementptr %dims[4] : (!llvm.ptr) -> !llvm.ptr, i64
    llvm.store %unknown, %p2 : i64, !llvm.ptr
    llvm.return
  }
}
