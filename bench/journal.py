"""What durability costs, and how long it takes to come back, measured on a real Kafka.

  written     bytes of the journal in the broker's files, per byte of events, and per byte that
              these take there (compressed)
  restore     from the start of a process until all partitions are as they were, from images;
              how fast turns are applied again, against how fast they were applied first
  failover    from kill -9 of one of two processes to the first change that the other publishes in
              its partitions, beyond the session timeout
  throughput  exactly once against at least once, in rounds that take turns, by wall and CPU time

Every figure is of a run whose answer was checked: restores differ in nothing, all runs over the
same events publish as much. The broker, the load and Nilai share the machine.
"""

import argparse
import json
import os
import platform
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError

from kafka import client, test_run
from kafka.cluster import Cluster
from kafka.test_run import Scene, quiet_environment

SESSION_S = 6
PATIENCE_S = 900
RESTORED = re.compile(r"partition (\d+): restored (\d+) customers from (\d+) bytes of images in "
                      r"([\d.]+) s and (\d+) turns in ([\d.]+) s; differences (\d+)")
TOTALS = re.compile(r"(\d+) new and (\d+) replayed since the start; .* customers (\d+), "
                    r"changes of risk (\d+) and of value (\d+)")
SETTINGS = {
    "merge__max_idle": "1h",
    "time__follow_wall_clock": "false",
    "kafka__session__timeout__ms": str(SESSION_S * 1000),
    "kafka__heartbeat__interval__ms": "1000",
}
IMAGES_SOON = {"state__image_ratio": "2", "state__image_round_max": "1s"}
NO_IMAGES = {"state__image_ratio": "0.01", "state__image_round_max": "30d"}


class Wrong(Exception):
    """A run did something else than it should have: its figures mean nothing."""


class Totals(NamedTuple):
    """What a process says at its end."""
    new: int
    replayed: int
    customers: int
    risk: int
    value: int


class Run:
    """A process of Nilai, its log, and what it took."""

    def __init__(self, scene, directory, *options, **settings):
        handle, self.log = tempfile.mkstemp(dir=directory, suffix=".log")
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [test_run.BINARY, "run", *scene.arguments(**(SETTINGS | settings)), *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=handle,
            env=quiet_environment())
        os.close(handle)
        self.cpu_s = self.wall_s = None

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def wait(self):
        """Until it ends by itself, which must be in order."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.wall_s = time.monotonic() - self.begun
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.cpu_s = usage.ru_utime + usage.ru_stime
        if self.process.returncode != 0:
            raise Wrong(f"nilai run ended with {self.process.returncode}:\n{self.text()}")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def totals(self):
        return Totals(*map(int, TOTALS.findall(self.text())[-1]))

    def wait_for_restored(self, partitions):
        """The restores of all partitions, and how long after the start the last was done."""
        while len(found := RESTORED.findall(self.text())) < partitions:
            if self.process.poll() is not None or time.monotonic() - self.begun > PATIENCE_S:
                raise Wrong(f"not restored:\n{self.text()}")
            time.sleep(0.02)
        took_s = time.monotonic() - self.begun
        if any(restored[6] != "0" for restored in found):
            raise Wrong(f"a restore differs from what was published:\n{self.text()}")
        return found, took_s

    def kill(self):
        self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, options, kafka, directory):
        self.options, self.kafka, self.directory = options, kafka, directory
        self.result = {}

    # --- Tools -------------------------------------------------------------------------------

    def scene(self, name, inputs_of=None):
        """Inputs may be those of another scene; everything else is its own."""
        scene = Scene(self.kafka.bootstrap, name)
        if inputs_of:
            scene.inputs = inputs_of.inputs
            scene.settings["input.topics"] = ",".join(scene.inputs)
        return scene

    def start(self, scene, *options, **settings):
        return Run(scene, self.directory, *options, **settings)

    def load(self, scene, events, customers, *options):
        return subprocess.Popen(
            [test_run.BINARY, "loadgen", *scene.arguments(), "--events", str(events),
             "--customers", str(customers), "--seed", str(self.options.seed),
             "--from", "2022-01-01", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=quiet_environment())

    def fill(self, scene, events, customers):
        """Returns the bytes of the events."""
        scene.create_inputs(self.options.partitions)
        load = self.load(scene, events, customers)
        text = load.communicate()[1].decode()
        if load.returncode != 0:
            raise Wrong(f"nilai loadgen failed: {text}")
        return int(re.search(r"\d+ events, (\d+) bytes", text).group(1))

    def bytes_of(self, *topics):
        """In the broker's files, which it does not remove while we run."""
        return sum(path.stat().st_size for topic in topics for path in
                   self.kafka.nodes[0].directory.glob(f"data/{topic}-*/*.log"))

    def rest(self, scene):
        """Until nobody writes to the journal any more."""
        topic, before = scene.settings["state.topic"], None
        while (now := client.watermarks(self.kafka.bootstrap, topic)) != before:
            before = now
            time.sleep(3)

    # --- Figures -----------------------------------------------------------------------------

    def measure_written(self):
        self.base = self.scene("base")
        event_bytes = self.fill(self.base, self.options.events, self.options.customers)
        run = self.start(self.base, "--exit-at-end").wait()
        input_bytes = self.bytes_of(*self.base.inputs)
        journal_bytes = self.bytes_of(self.base.settings["state.topic"])
        totals = run.totals()
        if totals.new != self.options.events:
            raise Wrong(f"{totals.new} of {self.options.events} events processed")
        self.customers = totals.customers
        self.result["written"] = {
            "events": totals.new, "customers": totals.customers, "event_bytes": event_bytes,
            "input_bytes_in_files": input_bytes, "journal_bytes_in_files": journal_bytes,
            "journal_per_event_byte": journal_bytes / event_bytes,
            "journal_per_input_byte_in_files": journal_bytes / input_bytes,
            "live_events_per_s": totals.new / run.wall_s, "live_cpu_s": run.cpu_s}

    def measure_restore(self):
        """First from images alone, then from turns alone."""
        run = self.start(self.base, **IMAGES_SOON)
        run.wait_for_restored(self.options.partitions)
        self.rest(self.base)
        run.stop()
        run = self.start(self.base)
        found, took_s = run.wait_for_restored(self.options.partitions)
        run.stop()
        customers, packed = (sum(int(row[column]) for row in found) for column in (1, 2))
        if customers != self.customers:
            raise Wrong(f"{customers} of {self.customers} customers restored")
        self.result["restore_images"] = {
            "customers": customers, "image_bytes": packed, "seconds": took_s, "cpu_s": run.cpu_s,
            "turns": sum(int(row[4]) for row in found),
            "image_mb_per_s": packed / took_s / 1e6, "customers_per_s": customers / took_s}

        scene = self.scene("turns", inputs_of=self.base)
        live = self.start(scene, "--exit-at-end", **NO_IMAGES).wait()
        again = self.start(scene, **NO_IMAGES)
        rows, took_s = again.wait_for_restored(self.options.partitions)
        again.stop()
        totals = again.totals()
        if totals.new != 0 or totals.replayed == 0:
            raise Wrong(f"turns were not applied again:\n{again.text()}")
        self.result["restore_turns"] = {
            "events": totals.replayed, "turns": sum(int(row[4]) for row in rows),
            "seconds": took_s, "cpu_s": again.cpu_s, "events_per_s": totals.replayed / took_s,
            "live_events_per_s": live.totals().new / live.wall_s, "live_cpu_s": live.cpu_s}

    def measure_failover(self):
        gaps = []
        for _ in range(self.options.rounds):
            gaps.append(self.one_failover())
        self.result["failover"] = {
            "customers": self.customers, "session_timeout_s": SESSION_S,
            "first_change_beyond_session_s": spread(gap["first"] for gap in gaps),
            "all_partitions_beyond_session_s": spread(gap["all"] for gap in gaps)}

    def one_failover(self):
        runs = [self.start(self.base, instance=name) for name in ("one", "two")]
        load = self.load(self.base, 10_000_000, self.options.customers, "--rate",
                         str(self.options.rate))
        reader = Reader(self.kafka.bootstrap, self.base.outputs.values())
        try:
            reader.wait_for_all(self.options.partitions)
            time.sleep(2)
            begun = time.monotonic()
            runs[1].kill()
            time.sleep(1)  # what it had committed arrives
            orphans = reader.silent_since(begun + 0.5, SESSION_S - 2, self.options.partitions)
            if not orphans:
                raise Wrong("the killed process had no partitions")
            back = reader.first_after(begun + SESSION_S - 1, orphans)
            if "differences 0" not in runs[0].text():
                raise Wrong(f"nothing was restored:\n{runs[0].text()}")
            runs[0].stop()
        finally:
            load.kill()
            load.communicate()
            reader.close()
            for run in runs:
                if run.process.poll() is None:
                    run.kill()
        beyond = sorted(at - begun - SESSION_S for at in back.values())
        return {"first": beyond[0], "all": beyond[-1]}

    def measure_throughput(self):
        rounds = {"exactly-once": [], "at-least-once": []}
        published = set()
        for number in range(self.options.rounds):
            for delivery in random.Random(number).sample(sorted(rounds), 2):
                scene = self.scene(f"{delivery}-{number}", inputs_of=self.base_of_throughput())
                run = self.start(scene, "--exit-at-end", delivery=delivery,
                                 topics__create="true").wait()
                totals = run.totals()
                published.add((totals.new, totals.risk, totals.value))
                rounds[delivery].append(run)
        if len(published) != 1:
            raise Wrong(f"runs over the same events differ: {published}")
        self.result["throughput"] = {
            delivery: {"events_per_s": spread(self.options.events / run.wall_s for run in runs),
                       "cpu_us_per_event": spread(run.cpu_s / self.options.events * 1e6
                                                  for run in runs)}
            for delivery, runs in rounds.items()}

    def base_of_throughput(self):
        """The same events, in topics to which the failover has added nothing."""
        if not hasattr(self, "still"):
            self.still = self.scene("still")
            self.fill(self.still, self.options.events, self.options.customers)
        return self.still


class Reader:
    """When something was last seen in each partition of the outputs, by a read_committed reader.
    Outputs have the partitions of the inputs: a partition falls silent with its owner."""

    def __init__(self, bootstrap, topics):
        self.seen = {}  # partition: times of arrival
        self.ended = False
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "nilai-bench-reader",
                                  "isolation.level": "read_committed", "fetch.wait.max.ms": 20,
                                  "enable.auto.commit": False})
        self.consumer.assign([client.TopicPartition(topic, p, high) for topic in topics
                              for p, (_, high) in enumerate(client.watermarks(bootstrap, topic))])
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while not self.ended:
            for message in self.consumer.consume(500, timeout=0.01):
                if not message.error():
                    self.seen.setdefault(message.partition(), []).append(time.monotonic())
                elif message.error().code() != KafkaError._PARTITION_EOF:
                    print(f"reader: {message.error()}", file=sys.stderr)

    def wait_for_all(self, partitions):
        begun = time.monotonic()
        while len(self.seen) < partitions:
            if time.monotonic() - begun > PATIENCE_S:
                raise Wrong("some partitions publish nothing")
            time.sleep(0.1)

    def silent_since(self, moment, for_s, partitions):
        """The partitions in which nothing arrived for so long."""
        time.sleep(max(0, moment + for_s - time.monotonic()))
        return [p for p in range(partitions) if not any(at > moment for at in self.seen[p])]

    def first_after(self, moment, partitions):
        begun = time.monotonic()
        while True:
            back = {p: at for p in partitions for at in self.seen[p][-1:] if at > moment}
            if len(back) == len(partitions):
                return {p: min(at for at in self.seen[p] if at > moment) for p in partitions}
            if time.monotonic() - begun > PATIENCE_S:
                raise Wrong("partitions of the killed process stay silent")
            time.sleep(0.05)

    def close(self):
        self.ended = True
        self.thread.join()
        self.consumer.close()


def spread(values):
    values = sorted(values)
    return {"median": statistics.median(values), "least": values[0], "most": values[-1],
            "runs": len(values)}


def show(result):
    def row(name, value, unit=""):
        if isinstance(value, dict):
            value = (f"{value['median']:,.3g}  ({value['least']:,.3g} .. {value['most']:,.3g}, "
                     f"{value['runs']} runs)" if value["median"] < 1000 else
                     f"{value['median']:,.0f}  ({value['least']:,.0f} .. {value['most']:,.0f}, "
                     f"{value['runs']} runs)")
        elif isinstance(value, float):
            value = f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
        else:
            value = f"{value:,}"
        print(f"  {name.replace('_', ' '):36} {value} {unit}")
    for section in ("written", "restore_images", "restore_turns", "failover"):
        if section in result:
            print(section.replace("_", " from "))
            for name, value in result[section].items():
                row(name, value)
    for delivery, figures in result.get("throughput", {}).items():
        print(f"throughput, {delivery}")
        for name, value in figures.items():
            row(name, value)
    sys.stdout.flush()


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, default=3_000_000)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5, help="of failover and of throughput")
    parser.add_argument("--rate", type=int, default=4000, help="events a second during a failover")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("written", "restore", "failover", "throughput"),
                        action="append", help="some of the figures (written always comes first)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = re.search(r"model name\s*: (.*)", info.read())
    return {"processor": model.group(1) if model else platform.machine(),
            "processors": os.cpu_count(), "system": platform.platform(),
            "load_average": os.getloadavg()[0]}


def main():
    options = parse()
    wanted = options.only or ["written", "restore", "failover", "throughput"]
    with tempfile.TemporaryDirectory(prefix="nilai-bench-") as directory, Cluster(
            heap_mb=1024, properties={"log.retention.check.interval.ms": 24 * 3600 * 1000,
                                      "log.initial.task.delay.ms": 24 * 3600 * 1000}) as kafka:
        bench = Bench(options, kafka, directory)
        bench.result = {"machine": machine(), "seed": options.seed,
                        "version": subprocess.run([test_run.BINARY, "--version"], check=True,
                                                  capture_output=True, text=True).stdout.strip()}
        print(json.dumps(bench.result["machine"]), flush=True)
        try:
            for name in dict.fromkeys(["written", *wanted]):
                known = set(bench.result)
                getattr(bench, f"measure_{name}")()
                show({key: bench.result[key] for key in bench.result if key not in known})
        except Wrong as wrong:
            print(f"journal.py: {wrong}", file=sys.stderr)
            return 1
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(bench.result, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
