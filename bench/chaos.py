"""The long form of tests/kafka/test_faults.py: faults by the hundred, in rounds.

A round is a scene of its own: live load, three processes, `--faults` faults at random moments;
then all that a reader with read_committed saw is compared with `nilai replay`. The first
difference ends everything with exit code 1 and keeps the logs. The rounds follow from the seed;
what the machine makes of them does not.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time
import traceback

from kafka import faults
from kafka.proxy import Api, ProxiedCluster

NAMES = ("one", "two", "three")
CUT = ({Api.END_TXN}, {Api.PRODUCE}, {Api.TXN_OFFSET_COMMIT}, {Api.ADD_OFFSETS_TO_TXN},
       {Api.ADD_PARTITIONS_TO_TXN})


class Round(faults.Faults):
    """One scene. Not run by a test runner: the bench calls it and keeps the score."""

    def __init__(self, kafka, options, number):
        super().__init__()
        self.kafka = kafka
        self.options = options
        self.number = number
        self.random = random.Random(f"{options.seed}/{number}")
        self.processes, self.logs = {}, []
        self.done = collections.Counter()

    def runTest(self):
        raise NotImplementedError("called by the bench")

    def nilai_bootstrap(self):
        return self.kafka.proxied_bootstrap

    def run_round(self, directory, count):
        self.directory = directory
        scene = self.live_scene(f"round-{self.number}", partitions=self.random.choice((6, 9, 12)),
                                delivery=self.options.delivery)
        load = self.start_load(scene, self.options.rate)
        for name in NAMES:
            self.launch_some(scene, name)
        self.wait_for_progress(scene)
        for _ in range(count):
            self.pause(0, 1.5)
            if self.random.random() < 0.4:  # somebody is amid the next output
                self.wait_for_progress(scene)
            kind = self.random.choice(self.kinds())
            getattr(self, kind)(scene)
            self.done[kind] += 1
        self.proxies_mend()
        self.wait_for_progress(scene)
        self.end_load(load)
        self.settle(scene, 300)
        applied = self.check_all_once(scene, repeated=self.options.delivery != "exactly-once")
        return applied

    def kinds(self):
        if not self.options.mix:
            return ("kill",)
        kinds = ("kill",) * 6 + ("cut",) * 4 + ("leave", "stand_still_shortly", "reset", "half_open")
        return kinds + (("zombie",) if self.done["zombie"] < 2 else ()) + (
            ("broker",) if self.options.nodes > 1 and self.done["broker"] < 3 else ())

    def launch_some(self, scene, name):
        self.launch(scene, name, workers=str(self.random.choice((1, 2))),
                    commit__interval=self.random.choice(("20ms", "100ms", "400ms")))

    def proxies_mend(self):
        for proxy in self.kafka.proxies:
            proxy.mend()

    # --- Kinds of faults -------------------------------------------------------------------

    def kill(self, scene, name=None):
        name = name or self.random.choice(NAMES)
        super().kill(name)
        self.pause(0, 1)
        self.launch_some(scene, name)

    def leave(self, scene):
        name = self.random.choice(NAMES)
        self.terminate(name)
        self.pause(0, 2)
        self.launch_some(scene, name)

    def stand_still_shortly(self, _scene):
        name = self.random.choice(NAMES)
        self.freeze(name)
        self.pause(0.5, 3)
        self.thaw(name)

    def zombie(self, _scene):
        name = self.random.choice(NAMES)
        self.freeze(name)
        self.pause(faults.SESSION_S + 1, faults.SESSION_S + 4)
        self.thaw(name)

    def cut(self, _scene):
        how = self.random.choice(("reset", "truncate", "hang", "delay", "lose"))
        self.random.choice(self.kafka.proxies).cut(self.random.choice(CUT), how,
                                                   seconds=self.random.uniform(0.1, 3))

    def reset(self, _scene):
        self.random.choice(self.kafka.proxies).reset()

    def half_open(self, _scene):
        proxy = self.random.choice(self.kafka.proxies)
        way = self.random.choice((proxy.requests, proxy.answers))
        way.swallowed = True
        self.pause(0.5, 3)
        way.swallowed = False
        proxy.reset()

    def broker(self, scene):
        number = self.random.randrange(len(self.kafka.nodes)) + 1
        self.kafka.kill(number)
        self.pause(1, 5)
        self.kafka.start(number)
        self.wait_for_progress(scene)

    # The bench ends what a round began.

    def end(self):
        self.tearDown()
        self.doCleanups()


def fault_count(options, done):
    left = options.faults - sum(done.values())
    return min(options.per_round, left)


def report(total, rows, begun, seed):
    print(f"\nseed {seed}, {time.monotonic() - begun:.0f} s")
    print(f"{'round':>6} {'faults':>7} {'events':>9} {'taken back':>11} {'seconds':>8}  result")
    for row in rows:
        print("{:>6} {:>7} {:>9} {:>11} {:>8.0f}  {}".format(*row))
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(total.items())) or "none"
    print(f"faults: {kinds}", flush=True)


def one_round(kafka, options, number, count, directory):
    """(row of the report, kinds of faults, whether all was well)."""
    begun = time.monotonic()
    this = Round(kafka, options, number)
    applied, well = 0, True
    try:
        applied = this.run_round(directory, count)
    except Exception:  # whatever it was, it is told, and the logs are kept
        well = False
        traceback.print_exc()
        pathlib.Path(directory, "failure.txt").write_text(traceback.format_exc())
    finally:
        with contextlib.suppress(Exception):
            backs = this.taken_back()
        this.end()
    row = (number, sum(this.done.values()), applied, backs, time.monotonic() - begun,
           "as replay says" if well else "DIFFERENT OR STUCK")
    print("round {}: {} faults, {} events, {} transactions taken back, {:.0f} s: {}".format(*row),
          flush=True)
    return row, this.done, well


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--faults", type=int, default=200, help="how many in all (default 200)")
    parser.add_argument("--per-round", type=int, default=25, help="between two comparisons")
    parser.add_argument("--mix", action="store_true", help="all kinds of faults, not kill -9 alone")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="brokers")
    parser.add_argument("--delivery", choices=("exactly-once", "at-least-once"),
                        default="exactly-once")
    parser.add_argument("--rate", type=int, default=3000, help="events a second")
    parser.add_argument("--duration", type=float, default=float("inf"), metavar="SECONDS",
                        help="begin no round after so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", metavar="DIRECTORY", help="where the logs of a failure go")
    return parser.parse_args(arguments)


def main():
    options = parse(sys.argv[1:])
    begun = time.monotonic()
    total, rows, well = collections.Counter(), [], True
    directory = tempfile.mkdtemp(prefix="nilai-chaos-")
    print(f"seed {options.seed}", flush=True)
    try:
        with ProxiedCluster(nodes=options.nodes) as kafka:
            while well and sum(total.values()) < options.faults \
                    and time.monotonic() - begun < options.duration:
                place = os.path.join(directory, f"round-{len(rows)}")
                os.mkdir(place)
                row, done, well = one_round(kafka, options, len(rows),
                                            fault_count(options, total), place)
                rows.append(row)
                total += done
                if well:
                    shutil.rmtree(place)
                else:
                    for node in kafka.nodes:
                        shutil.copy(node.log, pathlib.Path(place, f"broker-{node.number}.log"))
    finally:
        report(total, rows, begun, options.seed)
        if well:
            shutil.rmtree(directory)
        elif options.keep:
            shutil.move(directory, options.keep)
            directory = options.keep
    if not well:
        print(f"logs are kept in {directory}", flush=True)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
