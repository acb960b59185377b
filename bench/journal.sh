#!/bin/sh
# journal.sh - what durability costs and how long it takes to come back, over a real Kafka.
#
# usage: sh bench/journal.sh [option]...    the options are those of bench/journal.py (see --help)
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/bench/with_kafka.sh"
with_kafka journal "$@"
