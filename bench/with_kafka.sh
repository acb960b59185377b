# with_kafka.sh - what benches over a real Kafka have in common; sourced, with $root set.
# Installs what is missing, builds into build/bench, and runs bench/$1.py with the rest.
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
                -DNILAI_TESTS=OFF && cmake --build "$build"
        } >"$build.log" 2>&1 || {
            cat "$build.log" >&2
            fail "the build failed"
        }
        NILAI_TEST_BINARY=$build/nilai
    fi
    export NILAI_TEST_BINARY PYTHONPATH="$root/tests" PYTHONDONTWRITEBYTECODE=1
    exec "$root/.cache/venv/bin/python" "$root/bench/$script.py" "$@"
}
