#!/bin/sh
# chaos.sh - kills processes of Nilai a few hundred times over a real Kafka, and compares.
#
# usage: sh bench/chaos.sh [option]...      the options are those of bench/chaos.py (see --help)
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tests/install.sh"

build=$root/build/chaos
install_packages "$build_needs$test_needs"
install_venv
install_kafka
mkdir -p "$root/build"
say "building in build/chaos"
{
    cmake -G Ninja -S "$root" -B "$build" -DCMAKE_C_COMPILER=gcc -DNILAI_LTO=ON -DNILAI_TESTS=OFF &&
        cmake --build "$build"
} >"$build.log" 2>&1 || {
    cat "$build.log" >&2
    fail "the build failed"
}
export NILAI_TEST_BINARY="${NILAI_TEST_BINARY:-$build/nilai}"
export PYTHONPATH="$root/tests" PYTHONDONTWRITEBYTECODE=1
exec "$root/.cache/venv/bin/python" "$root/bench/chaos.py" "$@"
