#!/bin/sh
# run.sh - installs what is missing, builds, runs every test; see usage below.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tests/install.sh"

usage() {
    cat <<'EOF'
usage: sh tests/run.sh [option]... [ctest option]...

Installs what is missing (Debian or Ubuntu, as root or with sudo), builds Nilai
below build/, and runs every test by one ctest, whose exit code is ours.

  --tree NAME       only this tree (may be repeated); the trees are
                      release   gcc: all tests, also those against Apache Kafka
                      address   clang, address and undefined behaviour sanitizers:
                                unit tests, command line, fuzzers
                      thread    clang, thread sanitizer: unit tests
                      clang     clang: compiles without a warning
  --fuzz-seconds N  how long each fuzzer searches (default 20)
  --install         install what is missing, and stop
  --build           build, and stop
  --help            this text

Everything else goes to ctest:
  sh tests/run.sh --tree release -R money       the tests with money in their name
  sh tests/run.sh --tree release -LE kafka      all without Kafka
  sh tests/run.sh --rerun-failed

A test is named tree/name. Randomised tests print their seed;
NILAI_TEST_SEED=N sh tests/run.sh -R name runs one again.
EOF
}

trees=
fuzz_seconds=20
stop_after=
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --tree | --fuzz-seconds) [ $# -ge 2 ] || { usage >&2; exit 64; } ;;
    esac
    case $1 in
        --tree)
            case $2 in
                release | address | thread | clang) trees="$trees $2" ;;
                *) usage >&2; exit 64 ;;
            esac
            shift ;;
        --fuzz-seconds)
            case $2 in
                '' | *[!0-9]* | 0*) usage >&2; exit 64 ;;
            esac
            fuzz_seconds=$2
            shift ;;
        --install) stop_after=install ;;
        --build) stop_after=build ;;
        *) break ;; # the rest is for ctest
    esac
    shift
done
trees=${trees:-release address thread clang}
build=$root/build
jobs=$(nproc)

# configure TREE COMPILER OPTION...
configure() {
    tree=$1 compiler=$2
    shift 2
    say "configuring $tree"
    cmake -G Ninja -S "$root" -B "$build/$tree" "-DCMAKE_C_COMPILER=$compiler" -DNILAI_WERROR=ON \
        "-DNILAI_TEST_PREFIX=$tree/" "-DNILAI_FUZZ_SECONDS=$fuzz_seconds" "$@" >"$build/$tree.log" 2>&1 || {
        cat "$build/$tree.log"
        fail "$tree could not be configured"
    }
}

configure_tree() {
    case $1 in
        release) configure release gcc -DCMAKE_BUILD_TYPE=Release -DNILAI_LTO=ON ;;
        address) configure address clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNILAI_SANITIZE=address -DNILAI_FUZZ=ON ;;
        thread) configure thread clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNILAI_SANITIZE=thread ;;
        clang) configure clang clang -DCMAKE_BUILD_TYPE=Release ;;
    esac
}

# The clang tree is a test of its own (it compiles), the others are built before the tests.
build_tree() {
    configure_tree "$1"
    [ "$1" != clang ] || return 0
    say "building $1"
    cmake --build "$build/$1" -j "$jobs" || fail "$1 does not build"
}

# One ctest over all trees: a directory whose test file points to theirs.
write_test_list() {
    for tree in $trees; do
        if [ "$tree" = clang ]; then
            echo "add_test(clang/compiles cmake --build \"$build/clang\" -j $jobs)"
            echo "set_tests_properties(clang/compiles PROPERTIES RUN_SERIAL TRUE TIMEOUT 900)"
        else
            echo "subdirs(\"$tree\")"
        fi
    done >"$build/CTestTestfile.cmake"
}

say "looking for what is missing"
install_packages "$build_needs$test_needs"
install_venv
install_kafka
[ "$stop_after" != install ] || exit 0

mkdir -p "$build"
for tree in $trees; do
    build_tree "$tree"
done
[ "$stop_after" != build ] || exit 0

write_test_list
say "testing:$(printf ' %s' $trees)"
cd "$build"
exec ctest --output-on-failure --no-tests=error -j "$jobs" "$@" </dev/null
