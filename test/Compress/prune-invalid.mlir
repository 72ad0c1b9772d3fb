// RUN: tamis-opt %s --split-input-file --verify-diagnostics --tamis-prune="protect=false criterion=wanda"
// RUN: not tamis-opt %s --split-input-file --tamis-prune="pattern=4:2" 2>&1 | FileCheck %s --check-prefix=PATTERN
// RUN: not tamis-opt %s --split-input-file --tamis-prune="pattern=0x4" 2>&1 | FileCheck %s --check-prefix=PATTERN
// RUN: not tamis-opt %s --split-input-file --tamis-prune="criterion=entropy" 2>&1 | FileCheck %s --check-prefix=CRITERION
// RUN: not tamis-opt %s --split-input-file --tamis-prune="scope=world" 2>&1 | FileCheck %s --check-prefix=SCOPE
// RUN: not tamis-opt %s --split-input-file --tamis-prune="sparsity=1" 2>&1 | FileCheck %s --check-prefix=SPARSITY
// RUN: not tamis-opt %s --split-input-file --tamis-prune="sparsity=-0.5" 2>&1 | FileCheck %s --check-prefix=SPARSITY
// RUN: not tamis-opt %s --split-input-file --tamis-prune="threshold=-2" 2>&1 | FileCheck %s --check-prefix=THRESHOLD
// RUN: not tamis-opt %s --split-input-file --tamis-prune="pattern=2:4 sparsity=0.8" 2>&1 | FileCheck %s --check-prefix=UNREACHABLE
// RUN: not tamis-opt %s --split-input-file --tamis-prune="pattern=2:4 threshold=1" 2>&1 | FileCheck %s --check-prefix=FIXED
// RUN: not tamis-opt %s --split-input-file --tamis-prune="pattern=auto threshold=1" 2>&1 | FileCheck %s --check-prefix=AUTO-SHARE
// RUN: not tamis-opt %s --split-input-file --tamis-prune="pattern=auto scope=global" 2>&1 | FileCheck %s --check-prefix=AUTO-SCOPE
// RUN: not tamis-opt %s --split-input-file --tamis-prune="criterion=sparsegpt scope=global" 2>&1 | FileCheck %s --check-prefix=GLOBAL
// RUN: not tamis-opt %s --split-input-file --tamis-prune="criterion=sparsegpt pattern=channel" 2>&1 | FileCheck %s --check-prefix=RANK
// RUN: not tamis-opt %s --split-input-file --tamis-prune="scope=time threshold=1" 2>&1 | FileCheck %s --check-prefix=TIME-SHARE
// RUN: not tamis-opt %s --split-input-file --tamis-prune="scope=time pattern=channel" 2>&1 | FileCheck %s --check-prefix=TIME-CHANNEL
// RUN: not tamis-opt %s --split-input-file --tamis-prune="exclude=a(b" 2>&1 | FileCheck %s --check-prefix=REGEX

// PATTERN: pattern expected unstructured, N:M with N < M, RxC, channel, head, neuron or auto, got '{{4:2|0x4}}'
// CRITERION: criterion expected one of magnitude, random, l1, l2, activation, gradient, wanda, sparsegpt, got 'entropy'
// SCOPE: scope expected local, global or time, got 'world'
// SPARSITY: sparsity expected at least 0 and below 1, got {{-5.0|1.0}}
// THRESHOLD: threshold expected a number from 0 on, got -2.0
// UNREACHABLE: pattern 2:4 reaches a sparsity of 5.0{{.*}}, got 8.0
// FIXED: pattern 2:4 fixes its sparsity, got a threshold
// AUTO-SHARE: pattern auto compares patterns at one sparsity, got a threshold
// AUTO-SCOPE: pattern auto is chosen for one layer at a time, got scope global
// GLOBAL: criterion sparsegpt works on one layer at a time, got scope global
// RANK: criterion sparsegpt cannot rank channels
// TIME-SHARE: scope time shares out a sparsity of weights, got a threshold
// TIME-CHANNEL: scope time shares out a sparsity of weights, got pattern channel
// REGEX: 'a(b' is no regular expression

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

func.func @not_calibrated(%x: tensor<3x4xf32>) -> tensor<3x2xf32> {
  // expected-error @below {{layer 'first': tensor 'x' has no statistic 'channel_moments'; it has to be calibrated, or given, before pruning}}
  %0 = tamis.observe %x tensor "x" : tensor<3x4xf32>
  %c = arith.constant dense<1.0> : tensor<4x2xf32>
  %w = tamis.observe parameter %c tensor "w" : tensor<4x2xf32>
  %e = tensor.empty() : tensor<3x2xf32>
  %1 = tamis.contract ins(%0, %w : tensor<3x4xf32>, tensor<4x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x2xf32>
  return %1 : tensor<3x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

func.func @wrong_size(%x: tensor<3x4xf32>) -> tensor<3x2xf32> {
  // expected-error @below {{layer 'first': tensor 'x' expected 12 elements in the statistic 'channel_moments', got 9}}
  %0 = tamis.observe %x tensor "x" {statistics = {channel_moments = dense<1.0> : tensor<3x3xf32>}} : tensor<3x4xf32>
  %c = arith.constant dense<1.0> : tensor<4x2xf32>
  %w = tamis.observe parameter %c tensor "w" : tensor<4x2xf32>
  %e = tensor.empty() : tensor<3x2xf32>
  %1 = tamis.contract ins(%0, %w : tensor<3x4xf32>, tensor<4x2xf32>) outs(%e : tensor<3x2xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x2xf32>
  return %1 : tensor<3x2xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

func.func @not_finite(%x: tensor<3x2xf32>) -> tensor<3x1xf32> {
  %c = arith.constant dense<[[1.0], [0x7FC00000]]> : tensor<2x1xf32>
  // expected-error @below {{layer 'first': parameter 'w' holds a value that is not finite}}
  %w = tamis.observe parameter %c tensor "w" : tensor<2x1xf32>
  %e = tensor.empty() : tensor<3x1xf32>
  %1 = tamis.contract ins(%x, %w : tensor<3x2xf32>, tensor<2x1xf32>) outs(%e : tensor<3x1xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x1xf32>
  return %1 : tensor<3x1xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

func.func @unknown_decision(%x: tensor<3x2xf32>) -> tensor<3x1xf32> {
  %c = arith.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  // expected-error @below {{layer 'first': unknown criterion 'luck' or pattern 'unstructured'}}
  %w = tamis.observe parameter %c tensor "w" {tamis.pruning = {pattern = "unstructured", criterion = "luck"}} : tensor<2x1xf32>
  %e = tensor.empty() : tensor<3x1xf32>
  %1 = tamis.contract ins(%x, %w : tensor<3x2xf32>, tensor<2x1xf32>) outs(%e : tensor<3x1xf32>) maps [#x, #w, #y]
    iterators ["parallel", "parallel", "reduction"] pad [0, 0] accumulator f32 {origin = "first"} -> tensor<3x1xf32>
  return %1 : tensor<3x1xf32>
}
