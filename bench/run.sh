#!/bin/sh
# run.sh - how fast events get through, against what librdkafka alone can take, over a real Kafka.
#
# usage: sh bench/run.sh [option]...    the options are those of bench/run.py (see --help)
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/bench/with_kafka.sh"
with_kafka run "$@"
