#!/bin/sh
# demo.sh - installs what is missing, builds, and shows Nilai at work; nothing to set up.
#
# usage: sh bench/demo.sh [option]...      the options are those of `nilai demo` (see --help)
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tests/install.sh"

build=$root/build/demo
install_packages "$build_needs"
mkdir -p "$root/build"
say "building in build/demo"
{
    cmake -G Ninja -S "$root" -B "$build" -DCMAKE_C_COMPILER=gcc -DNILAI_LTO=ON -DNILAI_TESTS=OFF &&
        cmake --build "$build"
} >"$build.log" 2>&1 || {
    cat "$build.log" >&2
    fail "the build failed"
}
exec "$build/nilai" demo "$@"
