# with_programs.sh - what run.sh and latency.sh have in common; sourced, with $root set. Installs
# what is missing, builds Nilai and bench/kafka into build/measure, runs bench/$1.py with the rest.
. "$root/tests/install.sh"

with_programs() {
    script=$1 build=$root/build/measure
    shift
    install_packages "$build_needs$test_needs"
    install_venv
    install_kafka
    mkdir -p "$root/build"
    say "building in build/measure"
    {
        cmake -G Ninja -S "$root" -B "$build" -DCMAKE_C_COMPILER=gcc -DNILAI_LTO=ON &&
            cmake --build "$build" --target kafka_benches
    } >"$build.log" 2>&1 || {
        cat "$build.log" >&2
        fail "the build failed"
    }
    export NILAI_TEST_BINARY="$build/nilai" NILAI_BENCH_PROGRAMS="$build/bench"
    export PYTHONPATH="$root/tests" PYTHONDONTWRITEBYTECODE=1
    cd "$root"
    exec "$root/.cache/venv/bin/python" "$root/bench/$script.py" "$@"
}
