#!/bin/sh
# latency.sh - how long after an event its change can be read, at set rates, over a real Kafka.
#
# usage: sh bench/latency.sh [option]...    the options are those of bench/latency.py (see --help)
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/bench/with_kafka.sh"
with_kafka latency "$@"
