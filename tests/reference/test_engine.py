#!/usr/bin/env python3
"""test_engine.py - the engine against the reference, on random events.

    python3 test_engine.py [--nilai BUILD/nilai] [--seed N] [--runs N]

The program is the one that NILAI_TEST_BINARY names, unless told.

Each run draws its events and its settings from its seed, replays them with both, and
compares. A run that fails prints the commands that repeat it, and keeps its files.
"""
import argparse
import os
import pathlib
import random
import shlex
import shutil
import subprocess
import sys
import tempfile

import random_events

HERE = pathlib.Path(__file__).resolve().parent


def settings_of(seed):
    """The defaults for every other seed; else some settings far from their defaults."""
    rng = random.Random(seed)
    if seed % 2 == 0:
        return []
    drawn = {
        "time.day_offset": rng.choice([-36000, -1, 3600, 50400]),
        "alerts.one_time_high": rng.choice(["true", "false"]),
        "alerts.cause_min": rng.choice([0, 0.3, 0.6]),
        "erase.remember": rng.choice(["1d", "400d"]),
        "value.margin": rng.choice([0, 0.123, 1]),
        "value.scale": rng.choice([0.5, 3]),
        "value.cost_per_hour": rng.choice([0, 33.3]),
        "model.rhythm.r": rng.choice([0.2, 1, 2.5]),
        "model.rhythm.alpha": rng.choice([5, 200]),
        "model.rhythm.a": rng.choice([0.3, 1, 1.0000001, 2.2]),
        "model.horizon_days": rng.choice([7, 365]),
        "model.risk.b0": rng.choice([-1, 0.5]),
        "model.risk.bz": rng.choice([0.5, 1.3]),
        "model.risk.bx": rng.choice([-0.3, 0.3]),
        "model.signals.half_life_days": rng.choice([7, 300]),
        "model.signals.sla": rng.choice(["1h", "40d"]),
        "model.signals.overdue_max": rng.choice(["2d", "100d"]),
        "model.signals.recovery": rng.choice([0, 1]),
        "model.signals.forgive": rng.choice([0, 1]),
        "model.signals.cap_support": rng.choice([0.5, 5]),
        "model.signals.nps_promoter": rng.choice([0, -1]),
        "model.signals.ticket_overdue": rng.choice([0.1, 2]),
    }
    names = rng.sample(sorted(drawn), 8)
    return [f"--set={name}={drawn[name]}" for name in names]


def run(command, output=None):
    stream = open(output, "wb") if output else None
    done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, check=False)
    if stream:
        stream.close()
    return done


def check(seed, nilai, folder):
    """True if both agree. What was said is printed."""
    path = lambda name: str(folder / name)
    rng = random.Random(seed)
    customers = rng.choice([3, 20, 60, 400])
    events = rng.choice([500, 1500])
    options = random_events.OPTIONS + settings_of(seed)
    python, scripts = sys.executable, {name: str(HERE / name) for name in ("random_events.py", "nilai_reference.py", "compare.py")}
    steps = [
        ([python, scripts["random_events.py"], f"--seed={seed}", f"--events={events}", f"--customers={customers}", "--sharpen"], path("events.jsonl")),
        ([python, scripts["nilai_reference.py"], path("events.jsonl"), *options, "--dead-letter", path("reference-bad")], path("reference")),
        ([nilai, "replay", path("events.jsonl"), *options, "--dead-letter", path("nilai-bad")], path("nilai")),
        ([python, scripts["compare.py"], path("nilai"), path("reference"),
          "--dead-letters", path("nilai-bad"), path("reference-bad")], path("differences")),
    ]
    for command, output in steps:
        done = run(command, output)
        if done.returncode != 0:
            print(f"seed {seed}: FAILED in {folder}\n  {shlex.join(command)} > {output}")
            print(done.stderr.decode(errors="replace")[-2000:])
            print(pathlib.Path(path("differences")).read_text()[:4000] if output == path("differences") else "")
            return False
    changes = sum(1 for _ in open(path("reference"), "rb"))
    print(f"seed {seed}: {changes} changes agree ({events} events, {customers} customers{', own settings' if seed % 2 else ''})", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description="The engine against the reference, on random events.")
    parser.add_argument("--nilai", default=os.environ.get("NILAI_TEST_BINARY"), help="the program")
    parser.add_argument("--seed", type=int, default=None, help="of the first run")
    parser.add_argument("--runs", type=int, default=4)
    args = parser.parse_args()
    if not args.nilai:
        parser.error("which program? --nilai, or NILAI_TEST_BINARY")
    first = args.seed if args.seed is not None else random.SystemRandom().randrange(10**9)
    for seed in range(first, first + args.runs):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="nilai-engine-"))
        if not check(seed, args.nilai, folder):
            return 1
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
