#!/usr/bin/env python3
"""Compares the instructions that the hot paths execute with those that are written down.

    check.py PROGRAM            PROGRAM is build/release/bench/bench_instructions
    check.py PROGRAM --renew    writes them down anew: after a change that was meant

Time varies on a shared machine by a tenth; the number of instructions, counted by callgrind,
hardly at all, so a slow-down of a few percent is noticed the day it comes in. More than 3 % in
either direction fails: what has become faster must be written down too, or the gain could be
lost again without a word.

Another compiler or C library has other instructions: then it is only checked that everything
runs. The C library is kept from choosing its functions by the processor, so that most machines
agree.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

BASELINE = pathlib.Path(__file__).with_name("baseline.json")
TOLERANCE = 0.03
# Without these there is one memcpy, and one exp.
PLAIN = ("glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX,-AVX2,-AVX512F,-AVX512VL,-FMA,-FMA4,"
         "-ERMS,-FSRM,-BMI2,-SSE4_1,-SSE4_2,-SSSE3,-Fast_Unaligned_Copy")


def count(program, name):
    """(instructions an operation, compiler) of one case."""
    with tempfile.TemporaryDirectory(prefix="nilai-instructions-") as directory:
        out = pathlib.Path(directory, "out")
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=counted",
             f"--callgrind-out-file={out}", str(program), name],
            env=os.environ | {"GLIBC_TUNABLES": PLAIN}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True)
        told = re.fullmatch(r"(\d+) operations, (.*)\n", done.stdout)
        if done.returncode != 0 or not told:
            sys.exit(f"{name}: ended with {done.returncode}\n{done.stdout}{done.stderr}")
        total = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
    if not total or int(total[1]) == 0:
        sys.exit(f"{name}: nothing was counted: is there a function `counted` in {program}?")
    return int(total[1]) / int(told[1]), told[2]


def count_all(program):
    names = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    counts, compiler = {}, None
    for name in names.stdout.split():
        counts[name], compiler = count(program, name)
        print(f"  {name:14} {counts[name]:10.1f} instructions", flush=True)
    return {"compiler": f"{compiler}, {'-'.join(platform.libc_ver())}, {platform.machine()}",
            "instructions": counts}


def renew(now):
    now["instructions"] = {name: round(value, 1) for name, value in now["instructions"].items()}
    BASELINE.write_text(json.dumps(now, indent=1) + "\n")
    print(f"written to {BASELINE}")
    return 0


def faults(now, then):
    """What differs by more than it may, in words."""
    for name in sorted(set(now) | set(then)):
        if name not in now or name not in then:
            yield f"{name}: only {'written down' if name in then else 'in the program'}"
        elif abs(now[name] / then[name] - 1) > TOLERANCE:
            yield (f"{name}: {now[name]:.1f} instructions, {then[name]:.1f} are written down "
                   f"({now[name] / then[name] - 1:+.1%})")


def compare(now, program):
    then = json.loads(BASELINE.read_text())
    if now["compiler"] != then["compiler"]:
        print(f"not compared: this is {now['compiler']}, written down is {then['compiler']}")
        return 0
    found = list(faults(now["instructions"], then["instructions"]))
    if not found:
        print(f"all within {TOLERANCE:.0%} of what is written down")
        return 0
    print("\n".join([*found, f"If that is meant: {sys.argv[0]} {program} --renew"]))
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--renew", action="store_true", help="write them down anew")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed (sh tests/run.sh --install)")
    now = count_all(options.program)
    return renew(now) if options.renew else compare(now, options.program)


if __name__ == "__main__":
    sys.exit(main())
