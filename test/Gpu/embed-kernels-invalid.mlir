// RUN: tamis-opt %s --tamis-embed-kernels -split-input-file -verify-diagnostics

// expected-error @+1 {{expected a spirv.module made of it}}
gpu.module @device {
}

// -----

gpu.module @device {
}
// expected-error @+1 {{needs the capability Float64, which the runtime does not know}}
spirv.module @__spv__device Logical GLSL450 requires #spirv.vce<v1.3, [Shader, Float64], []> {
}
