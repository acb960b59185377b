#!/bin/sh
# chaos.sh - kills processes of Nilai a few hundred times over a real Kafka, and compares.
#
# usage: sh bench/chaos.sh [option]...      the options are those of bench/chaos.py (see --help)
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/bench/with_kafka.sh"
with_kafka chaos "$@"
