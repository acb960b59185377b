# install.sh - what a machine needs, and how it gets it: sourced by run.sh and bench/demo.sh.
#
# A need is "probe|package package ...": if the probe finds it, nothing is installed; else the
# first of the packages that this Debian knows (releases name some of them differently).
# Expects $root, the source directory. Nothing here writes outside it, but for apt.

cache=$root/.cache

build_needs='
command:cmake|cmake
command:ninja|ninja-build
command:gcc|gcc
command:pkg-config|pkgconf pkg-config
header:stdlib.h|libc6-dev
library:rdkafka|librdkafka-dev
library:libuv|libuv1-dev
library:yajl|libyajl-dev
library:yaml-0.1|libyaml-dev
library:libxxhash|libxxhash-dev
library:jemalloc|libjemalloc-dev
header:msgpack.h|libmsgpack-c-dev libmsgpack-dev
'
# The sanitizers' runtime comes with clang only as a recommendation.
test_needs='
library:cmocka|libcmocka-dev
command:clang|clang
sanitizers:clang|libclang-rt-dev libclang-rt-14-dev
command:llvm-symbolizer|llvm
command:java|default-jre-headless
command:mvn|maven
command:openssl|openssl
command:valgrind|valgrind
command:python3|python3
venv:python3|python3-venv
file:/etc/ssl/certs/ca-certificates.crt|ca-certificates
'

say() { printf '\n==> %s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# compiles COMPILER FLAGS...: can it build and link the program on standard input?
compiles() {
    "$@" -x c - -o /dev/null >/dev/null 2>&1
}

has() {
    case $1 in
        command:*) command -v "${1#*:}" >/dev/null ;;
        file:*) [ -e "${1#*:}" ] ;;
        library:*) pkg-config --exists "${1#*:}" 2>/dev/null ;;
        header:*) echo "#include <${1#*:}>" | gcc -fsyntax-only -x c - >/dev/null 2>&1 ;;
        sanitizers:*) echo 'int main(void){return 0;}' | compiles "${1#*:}" -fsanitize=address,undefined &&
            echo 'int LLVMFuzzerTestOneInput(void){return 0;}' | compiles "${1#*:}" -fsanitize=fuzzer ;;
        venv:*) "${1#*:}" -c 'import venv, ensurepip' 2>/dev/null ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# known PACKAGE...: the first that this Debian has.
known() {
    for package; do
        if apt-cache show "$package" 2>/dev/null | grep -q '^Package:'; then
            echo "$package"
            return
        fi
    done
    fail "this Debian has none of: $*"
}

# missing NEEDS: the needs whose probe finds nothing, one a line.
missing() {
    printf '%s' "$1" | while IFS= read -r need; do
        [ -z "$need" ] || has "${need%%|*}" || echo "$need"
    done
}

# install_packages NEEDS...: installs what is missing, and nothing if nothing is.
install_packages() {
    wanted=$(missing "$*")
    [ -n "$wanted" ] || return 0
    command -v apt-get >/dev/null ||
        fail "this is not Debian or Ubuntu; please install what provides: $(echo $wanted)"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        fail "neither root nor sudo; please install what provides: $(echo $wanted)"
    # One source of the machine that does not answer must not keep us from the others.
    apt update || say "apt-get update failed; going on with the package lists as they are"
    packages=$(echo "$wanted" | while IFS= read -r need; do known ${need#*|}; done) || exit 1
    say "installing" $packages
    apt install -y --no-install-recommends $packages || fail "apt-get install failed"
    wanted=$(missing "$*")
    [ -z "$wanted" ] || fail "installed, but still not found:" $wanted
}

# stamped DIRECTORY FINGERPRINT: was it finished, and from the same?
stamped() {
    [ "$(cat "$1/.stamp" 2>/dev/null)" = "$2" ]
}

# The Python of the tests, with exactly the packages that tests/requirements.txt names.
install_venv() {
    print=$(python3 -V; cksum <"$root/tests/requirements.txt") || fail "no python3"
    stamped "$cache/venv" "$print" && return
    say "making the Python environment of the tests in .cache/venv"
    rm -rf "$cache/venv"
    mkdir -p "$cache"
    python3 -m venv "$cache/venv" || fail "no Python environment"
    "$cache/venv/bin/python" -m pip install -q --disable-pip-version-check --no-input \
        --only-binary=:all: -r "$root/tests/requirements.txt" || fail "pip install failed"
    printf '%s' "$print" >"$cache/venv/.stamp"
}

# Apache Kafka with its dependencies, as jars.
install_kafka() {
    print=$(cksum <"$root/tests/kafka/pom.xml")
    stamped "$cache/kafka" "$print" && return
    say "fetching Apache Kafka into .cache/kafka"
    rm -rf "$cache/kafka"
    mkdir -p "$cache/kafka"
    mvn -B -ntp -f "$root/tests/kafka/pom.xml" dependency:copy-dependencies \
        "-DoutputDirectory=$cache/kafka/libs" </dev/null >"$cache/kafka/log" 2>&1 || {
        cat "$cache/kafka/log" >&2
        fail "Maven could not fetch Kafka"
    }
    printf '%s' "$print" >"$cache/kafka/.stamp"
}
