# with_kafka.sh - what benches over a real Kafka have in common; sourced, with $root set.
# Installs what is missing, builds Nilai and bench/kafka into build/bench, and runs bench/$1.py with
# the rest. A binary in NILAI_TEST_BINARY is taken as it is, with what lies in bench/ beside it.
. "$root/tests/install.sh"

with_kafka() {
    script=$1 build=$root/build/bench
    shift
    install_packages "$build_needs$test_needs"
    install_venv
    install_kafka
    mkdir -p "$root/build"
    if [ -z "${NILAI_TEST_BINARY:-}" ]; then
        say "building in build/bench"
        {
            cmake -G Ninja -S "$root" -B "$build" -DCMAKE_C_COMPILER=gcc -DNILAI_LTO=ON \
                -DNILAI_TESTS=ON && cmake --build "$build" --target kafka_benches
        } >"$build.log" 2>&1 || {
            cat "$build.log" >&2
            fail "the build failed"
        }
        NILAI_TEST_BINARY=$build/nilai
    fi
    NILAI_TEST_PROGRAMS=${NILAI_TEST_PROGRAMS:-${NILAI_TEST_BINARY%/*}/bench}
    export NILAI_TEST_BINARY NILAI_TEST_PROGRAMS
    export PYTHONPATH="$root/tests" PYTHONDONTWRITEBYTECODE=1
    exec "$root/.cache/venv/bin/python" "$root/bench/$script.py" "$@"
}
