#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Interesting (status 1) while a contraction is there.
! grep -q tamis.contract "$1"
