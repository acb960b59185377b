"""How much of what librdkafka can take the whole service leaves, measured on a backlog.

  drain          the input taken with the service's own settings, looked at and dropped: the limit
  slow           the same by an application that is busy with each message for twice as long as that
                 takes, to see whether it ever waits for input that the broker has
  naive          the same job written straightforwardly: poll, msgpack_unpack_next, a hash table
                 of chains under a lock, one produce a change
  no-durability  the service without a journal, with commits as rare as may be
  at-least-once  the service with its journal
  exactly-once   the service with its journal, in transactions

A scene is a number of customers, alike or unequal, and a backlog of their events. All variants
take turns over the same backlog, in another order each round, and every run is checked before it
counts: all events, as many changes as the others, and the same ones by a digest that does not
depend on order. (With --quick the digest is also that of `nilai replay` over the same events.)

Measured is the second half of each run. In the first all customers join, which brings a first change
for each, and memory that was never touched before; librdkafka fills its queues and the group comes
together. With --warm-up 0 all of it counts, from the start of the process.

CPU time is that of the client alone, by what its threads do: `broker` talks to brokers (librdkafka,
with decompression and checksums), `work` is the program itself (`library` and `rest` are what is
left of either); the broker's own is not in it, but it shares the machine, and wall time shows it.
"""

import argparse
import itertools
import pathlib
import subprocess
import sys
import tempfile

import programs
from chart import draw
from programs import (BINARY, PROGRAMS, RESULTS, EmulatedBrokers, RealBrokers, Wrong, call, check,
                      describe, finish, input_settings, input_topics, log, output_topics,
                      run_settings, save, spread, start)

ROLES = ("broker", "library", "work", "rest")
NO_DURABILITY = {"delivery": "at-least-once", "commit.interval": "10s"}
SERVICES = {"no-durability": NO_DURABILITY,
            "at-least-once": {"delivery": "at-least-once"},
            "exactly-once": {"delivery": "exactly-once"}}
EVENTS = {100_000: 3_000_000, 1_000_000: 5_000_000, 10_000_000: 20_000_000}
SKEWS = {"uniform": 0, "skewed": 1}


class Scene:
    """One backlog, and the runs over it."""

    def __init__(self, brokers, options, number, customers, skew):
        self.brokers, self.options = brokers, options
        self.name = f"scene-{number}"
        self.customers, self.skew = customers, skew
        self.events = options.events or events_for(customers)
        self.busy_ns = 0  # with a message, in `slow`
        self.runs = itertools.count()
        self.warm_up = round(self.events * options.warm_up)
        self.changes = self.digest = self.word_sum = self.pace = None
        self.rounds = {variant: [] for variant in options.variants}

    def title(self):
        return (f"{self.customers:,} customers, {self.skew}, {self.events:,} events in "
                f"{self.options.span}")

    def generate(self):
        return ["--customers", self.customers, "--events", self.events, "--seed",
                self.options.seed, "--skew", SKEWS[self.skew], "--span", self.options.span]

    def load(self):
        self.brokers.create(input_topics(self.name), self.options.partitions)
        self.loaded = programs.loadgen(input_settings(self.brokers, self.name), *self.generate())
        check(self.loaded["events"] == self.events,
              f"{self.loaded['events']} events instead of {self.events}: all customers have left")

    def run(self, variant):
        """One run, checked."""
        prefix = f"{self.name}.run-{next(self.runs)}"
        settings = run_settings(self.brokers, self.name, prefix)
        self.brokers.create(output_topics(prefix), self.options.partitions)
        answer = self.run_program(variant, settings)
        check(answer["events"] == self.events,
              f"{variant}: {answer['events']} events of {self.events}")
        if variant in ("drain", "slow"):
            check(answer["value_bytes"] == self.loaded["value_bytes"],
                  f"{variant}: {answer['value_bytes']} bytes of {self.loaded['value_bytes']}")
            self.word_sum = self.word_sum or answer["word_sum"]
            check(answer["word_sum"] == self.word_sum, f"{variant}: other bytes than the first time")
        elif variant == "naive":
            expected = self.pace * self.events
            check(abs(answer["changes"] - expected) <= 1 + expected / 1000,
                  f"naive: {answer['changes']} changes instead of {expected:.0f}")
        else:
            self.check_changes(variant, settings, answer)
        check(answer["measured_events"] > 0, f"{variant}: the warm-up took all events")
        self.brokers.delete([*output_topics(prefix), f"{prefix}.state"])
        return answer

    def run_program(self, variant, settings):
        warm_up = ["--warm-up", self.warm_up]
        common = [*warm_up, "--emulated"] if self.brokers.emulated else warm_up
        if variant == "drain":
            return call("bench_drain", *common, settings=settings)
        if variant == "slow":
            answer = call("bench_drain", "--busy", self.busy_ns, *common, settings=settings)
            return answer | {"work_share": answer["cpu_work_ns"] / answer["seconds"] * 1e-9}
        if variant == "naive":
            return call("bench_naive", "--changes-per-event", self.pace, *warm_up,
                        settings={name: settings[name] for name in
                                  ("kafka.bootstrap.servers", "group", "input.topics",
                                   "output.topics.churn_risk")})
        how = ["--no-journal", "--events", self.events] if variant == "no-durability" else []
        return call("bench_service", *how, *common, settings=settings | {
            "merge.max_idle": "1h", "workers": self.options.workers} | SERVICES[variant])

    def check_changes(self, variant, settings, answer):
        seen = call("bench_reader", settings=settings)
        check(seen["changes"] == answer["changes"],
              f"{variant}: {answer['changes']} changes, and a reader finds {seen['changes']}")
        if self.digest is None:
            self.changes, self.digest = seen["changes"], seen["digest"]
            self.pace = answer["measured_changes"] / answer["measured_events"]
        check((seen["changes"], seen["digest"]) == (self.changes, self.digest),
              f"{variant}: other changes than the first run's: {seen['changes']} "
              f"({seen['digest']}) instead of {self.changes} ({self.digest})")

    def check_against_replay(self):
        """Only with one partition is the order of the file that of the service."""
        with tempfile.TemporaryDirectory(prefix="nilai-bench-") as directory:
            path = pathlib.Path(directory, "events")
            programs.loadgen({}, "--out", path, *self.generate())
            replay = start(BINARY, "replay", path, stderr=subprocess.DEVNULL)
            reader = start(PROGRAMS / "bench_reader", "--replay", "-", stdin=replay.stdout)
            replay.stdout.close()
            told = finish(reader, "bench_reader")
            check(replay.wait() == 0, "replay failed")
        check((told["changes"], told["digest"]) == (self.changes, self.digest),
              f"replay says {told['changes']} changes ({told['digest']}), the service "
              f"{self.changes} ({self.digest})")

    def measure(self):
        log(f"{self.title()}: loading")
        self.load()
        log(f"{self.title()}: warming up")
        self.run("no-durability")  # warms the broker's files, and is what the others compare with
        drained = self.run("drain")
        self.busy_ns = round(2e9 * drained["seconds"] / drained["measured_events"])
        check(self.changes > 0, "nothing has changed")
        if self.options.quick and self.options.partitions == 1:
            self.check_against_replay()
        for number in range(self.options.rounds):
            shift = number % len(self.options.variants)
            for variant in self.options.variants[shift:] + self.options.variants[:shift]:
                answer = self.run(variant)
                self.rounds[variant].append(answer)
                log(f"{self.title()}: round {number + 1} of {self.options.rounds}, {variant}: "
                    f"{answer['measured_events'] / answer['seconds']:,.0f} events/s, "
                    f"{answer['cpu_ns'] / answer['measured_events']:.0f} ns")
        self.brokers.delete(input_topics(self.name))
        return self.result()

    # --- What it comes to ---

    def result(self):
        variants = {variant: summary(rounds) for variant, rounds in self.rounds.items()}
        return {"customers": self.customers, "skew": self.skew, "events": self.events,
                "span": self.options.span, "partitions": self.options.partitions, "workers": self.options.workers,
                "warm_up": self.warm_up, "changes": self.changes, "digest": self.digest,
                "changes_per_event": self.pace, "loadgen": self.loaded,
                "variants": variants, "ratios": ratios(self.rounds)}


def events_for(customers):
    return EVENTS.get(customers, max(20_000, 3 * customers))


def per_event(answer):
    return answer["cpu_ns"] / answer["measured_events"]


def summary(rounds):
    result = {"events_per_s": spread([r["measured_events"] / r["seconds"] for r in rounds]),
              "cpu_ns": spread([per_event(r) for r in rounds]),
              "rss_max_bytes": spread([r["rss_max_bytes"] for r in rounds])}
    for role in ROLES:  # what ended between two looks was the program's own
        values = [(r[f"cpu_{role}_ns"] + (r["cpu_ended_ns"] if role == "work" else 0))
                  / r["measured_events"] for r in rounds]
        result[f"cpu_{role}_ns"] = spread(values)
    if "work_share" in rounds[0]:
        result["work_share"] = spread([r["work_share"] for r in rounds])
    if rounds[0].get("customers"):
        result["rss_per_customer"] = spread([r["rss_max_bytes"] / r["customers"] for r in rounds])
        result["customers"] = rounds[0]["customers"]
    if rounds[0].get("state_bytes"):
        result["state_per_customer"] = spread([r["state_bytes"] / r["customers"] for r in rounds])
    return result | {"rounds": rounds}


def ratios(rounds):
    """Of CPU time per event, each within one round."""
    pairs = {"drain to exactly-once": ("drain", "exactly-once"),
             "drain to at-least-once": ("drain", "at-least-once"),
             "drain to no-durability": ("drain", "no-durability"),
             "naive to exactly-once": ("naive", "exactly-once"),
             "no-durability to exactly-once": ("no-durability", "exactly-once"),
             "naive to no-durability": ("naive", "no-durability")}
    return {name: spread([per_event(a) / per_event(b)
                          for a, b in zip(rounds[first], rounds[second])])
            for name, (first, second) in pairs.items() if first in rounds and second in rounds}


# --- Showing it ------------------------------------------------------------------------------

def print_scene(result):
    loaded = result["loadgen"]
    bytes_each = loaded["value_bytes"] / loaded["events"]
    print(f"\n{result['customers']:,} customers, {result['skew']}; {result['events']:,} events of "
          f"{bytes_each:.0f} bytes within {result['span']} in 3 x {result['partitions']} partitions, "
          f"measured after {result['warm_up']:,}, "
          f"{result['changes_per_event']:.2f} changes an event; workers: {result['workers']}")
    print(f"{'':15}{'events/s':>11} {'(spread)':>21}{'CPU ns/event':>14} {'(spread)':>13}"
          + "".join(f"{role:>9}" for role in ROLES) + f"{'RSS MiB':>9}{'B/customer':>12}{'state':>7}")
    for variant, figures in result["variants"].items():
        print(row(variant, figures))
    for name, ratio in result["ratios"].items():
        print(f"  CPU an event, {name}: {ratio['median']:.2f} "
              f"({ratio['least']:.2f} to {ratio['most']:.2f})")
    if "slow" in result["variants"]:
        share = result["variants"]["slow"]["work_share"]
        print(f"  slow application, rate to that of working all the time: {share['median']:.3f} "
              f"({share['least']:.3f} to {share['most']:.3f})")
    print(f"  the load: {loaded['events'] / loaded['seconds']:,.0f} events/s, "
          f"{loaded['events'] / loaded['cpu_s']:,.0f} a CPU second", flush=True)


def row(variant, figures):
    rate, cpu = figures["events_per_s"], figures["cpu_ns"]
    rates = f"({rate['least']:,.0f}-{rate['most']:,.0f})"
    cpus = f"({cpu['least']:.0f}-{cpu['most']:.0f})"
    return (f"{variant:15}{rate['median']:>11,.0f} {rates:>21}{cpu['median']:>14.0f} {cpus:>13}"
            + "".join(f"{figures[f'cpu_{role}_ns']['median']:>9.0f}" for role in ROLES)
            + f"{figures['rss_max_bytes']['median'] / 2**20:>9.0f}"
            + of_customer(figures, "rss_per_customer", 12)
            + of_customer(figures, "state_per_customer", 7))


def of_customer(figures, name, width):
    return f"{figures[name]['median']:>{width}.0f}" if name in figures else " " * width


def run_all(options):
    programs.check_allocator()
    result = {"bench": "run", "machine": programs.machine(), "scenes": []}
    names = [(number, customers, skew) for number, (customers, skew) in
             enumerate(itertools.product(options.customers, options.skew))]
    with brokers_for(options, names) as brokers:
        for number, customers, skew in names:
            scene = Scene(brokers, options, number, customers, skew)
            result["scenes"].append(scene.measure())
            if number == 0:
                first, = (rounds[0] for rounds in itertools.islice(scene.rounds.values(), 1))
                result["versions"] = programs.versions(first, brokers.emulated)
                print(describe(result))
            print_scene(result["scenes"][-1])
            save(options.out / "run.json", result)
            (options.out / "run.svg").write_text(draw(result, ROLES, describe(result)))
    print(f"\n{options.out / 'run.json'} and run.svg have all of it")


def brokers_for(options, names):
    if not options.mock:
        return RealBrokers()
    runs = 2 + options.rounds * len(options.variants)  # two to warm up
    topics = [topic for number, _, _ in names for topic in input_topics(f"scene-{number}")]
    topics += [topic for number, _, _ in names for run in range(runs)
               for topic in output_topics(f"scene-{number}.run-{run}")]
    return EmulatedBrokers(topics, options.partitions)


def parse(arguments):
    everything = ["drain", "slow", "naive", *SERVICES]
    parser = argparse.ArgumentParser(prog="run.sh",
                                     description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--customers", type=numbers, default=list(EVENTS), metavar="N,N,...",
                        help="default 100000,1000000,10000000")
    parser.add_argument("--events", type=int, help="a backlog of so many; default by customers: "
                        "3, 5 and 20 million")
    parser.add_argument("--span", default="365d", help="the time that the events fill, default "
                        "365d: the denser, the fewer of them change anything")
    parser.add_argument("--skew", type=lambda text: one_of(SKEWS, text), default=list(SKEWS),
                        metavar="LIST", help="of uniform, skewed; default both")
    parser.add_argument("--variants", type=lambda text: one_of(everything, text),
                        default=everything, metavar="LIST", help="of " + ", ".join(everything))
    parser.add_argument("--partitions", type=int, default=8, help="of each topic, default 8")
    parser.add_argument("--workers", type=int, default=1, help="of the service, default 1")
    parser.add_argument("--warm-up", type=float, default=0.5, metavar="SHARE",
                        help="of the events, which are not measured; default 0.5")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mock", action="store_true", help="librdkafka's emulated brokers, which "
                        "hold little and know no durability")
    parser.add_argument("--quick", action="store_true", help="little data, to check the bench")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS,
                        metavar="DIRECTORY", help="for run.json and run.svg")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.partitions = 1, 1 if not options.mock else 4
        options.customers, options.skew = [3000], ["skewed"]
        options.events = 20_000 if options.mock else 60_000
    elif options.mock:  # a partition holds 5 MiB
        options.partitions = 64
        options.customers = [min(customers, 100_000) for customers in options.customers[:1]]
        options.events = min(options.events or 200_000, 400_000)
    if options.mock:
        options.variants = [variant for variant in options.variants
                            if variant not in ("at-least-once", "exactly-once")]
    if options.rounds < 1 or not options.variants or not 0 <= options.warm_up < 1:
        parser.error("there is nothing to measure")
    return options


def numbers(text):
    return [int(number) for number in text.split(",")]


def one_of(known, text):
    names = text.split(",")
    if not set(names) <= set(known):
        raise argparse.ArgumentTypeError(f"{text}: known are {', '.join(known)}")
    return names


def main():
    try:
        run_all(parse(sys.argv[1:]))
    except Wrong as wrong:
        print(f"wrong answer: {wrong}", file=sys.stderr)
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main())
