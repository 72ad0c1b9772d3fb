#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# From a bare Debian 12 to a working compiler, and cheap to run again:
#   tools/bootstrap.sh setup   install what is missing, build, install the Python package into .venv
#   tools/bootstrap.sh demo    the same, then compile two real models, compress one, and run all beside ONNX Runtime
#   tools/bootstrap.sh test    the same, then run every test; the last line is "N passed, N failed"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export TAMIS_MODELS="${TAMIS_MODELS:-$PWD/build/models}"
PACKAGES=(ca-certificates ccache clang-22 cmake git liblld-22-dev libmlir-22-dev libprotozero-dev libcli11-dev libvulkan-dev
  libzstd-dev lld-22 llvm-22-dev llvm-22-tools mesa-vulkan-drivers mlir-22-tools ninja-build python3 python3-dev python3-venv spirv-tools zlib1g-dev)

# On lavapipe: float and int8 convolutions, attention with open sizes, a pruned network.
VULKAN_MODELS=mnist-cntk,effword-int8,minilm-l6-v2,ppocrv6s-rec,mp-face-detection-full-range-sparse

say() { printf '== %s\n' "$*"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else
    printf 'error: this needs root and there is no sudo: %s\n' "$*" >&2
    exit 1
  fi
}

# LLVM 22 reaches Debian 12 by its security archive, which a minimal
# installation may not list.
add_security_archive() {
  local mirror
  [ -z "$(apt-cache madison llvm-22-dev 2>/dev/null)" ] || return 0
  mirror=$(apt-cache policy | sed -n 's|.* \(https\?://[^ ]*\)/debian .*|\1|p' | head -n 1)
  if [ -z "$mirror" ]; then
    printf 'error: no package llvm-22-dev; add the archive bookworm-security to the sources of apt\n' >&2
    exit 1
  fi
  say "adding the archive bookworm-security"
  echo "deb $mirror/debian-security bookworm-security main" |
    as_root tee /etc/apt/sources.list.d/tamis-security.list >/dev/null
  as_root apt-get update -qq
}

install_packages() {
  local missing=() package
  for package in "${PACKAGES[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root apt-get update -qq
  add_security_archive
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Runs a command only if the files named after -- differ from its last success.
once() {
  local stamp="build/stamps/$1" files=() sum
  shift
  while [ "$1" != "--" ]; do files+=("$1"); shift; done
  shift
  sum=$(cat "${files[@]}" | sha256sum)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then return 0; fi
  "$@"
  mkdir -p build/stamps
  printf '%s\n' "$sum" >"$stamp"
}

install_python_packages() {
  say "installing Python packages into .venv"
  .venv/bin/python - <<'PYTHON' >build/requirements.txt
import tomllib
with open("pyproject.toml", "rb") as file:
    data = tomllib.load(file)
project = data["project"]
print("\n".join(data["build-system"]["requires"] + project["dependencies"] + project["optional-dependencies"]["test"]))
PYTHON
  .venv/bin/python -m pip install -q --disable-pip-version-check -r build/requirements.txt
}

install_package() {
  say "installing the package tamis into .venv"
  .venv/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps \
    --config-settings=wheel.cmake=false -e .
}

setup() {
  install_packages
  mkdir -p build
  if [ ! -x .venv/bin/python ]; then
    say "making .venv"
    python3 -m venv .venv
    rm -f build/stamps/python build/stamps/package
  fi
  once python pyproject.toml -- install_python_packages
  say "building"
  # Only what failed is worth reading; the whole of it is in build/build.log.
  if ! tools/build.sh >build/build.log 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] ' build/build.log | tail -n 60 >&2
    printf 'error: the build failed, see build/build.log\n' >&2
    exit 1
  fi
  once package pyproject.toml -- install_package
}

demo() {
  .venv/bin/python test/Models/fetch_models.py --models mnist-cntk,pplcnet-orient
  .venv/bin/python test/Models/demo.py mnist-cntk pplcnet-orient
  .venv/bin/python test/Accuracy/demo.py build/demo
}

# Runs one suite. Its last "N passed, N failed" line is what counts; a suite
# that ran nothing, or ended without that line, is a failure of its own.
passed=0 failed=0
suite() {
  local name="$1" log="build/logs/$1.log" line status=0
  shift
  say "suite $name"
  mkdir -p build/logs
  "$@" 2>&1 | tee "$log" || status=$?
  line=$(grep -oE '[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 || true)
  if [ -z "$line" ] || [[ "$line" == "0 passed, 0 failed" ]]; then
    printf 'error: suite %s ran nothing\n' "$name"
    failed=$((failed + 1))
    return 0
  fi
  passed=$((passed + ${line%% *}))
  line=${line#*, }
  failed=$((failed + ${line%% *}))
  if [ "$status" -ne 0 ] && [ "${line%% *}" -eq 0 ]; then
    printf 'error: suite %s ended with status %s\n' "$name" "$status"
    failed=$((failed + 1))
  fi
}

run_tests() {
  suite lit .venv/bin/python test/support/run_lit.py build/test
  suite models .venv/bin/python test/Models/run_models.py --fetch --ci
  suite vulkan .venv/bin/python test/Models/run_models.py --fetch --target vulkan --beside native --seeds 1 --models "$VULKAN_MODELS"
  suite onnx-nodes .venv/bin/python test/OnnxNode/run_nodes.py --ci
  suite mutations .venv/bin/python test/Robustness/mutate.py --count 200
  printf '%s passed, %s failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

case "${1:-}" in
  setup) setup ;;
  demo) setup && demo ;;
  test) setup && run_tests ;;
  *)
    sed -n 's/^# \{0,1\}//; 3,6p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
