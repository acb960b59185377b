"""How long after an event is due its change can be read, with everything on, at set rates.

The load is open: `nilai loadgen --rate` sends each event when it is due, whatever the receiver
does, and latency counts from the instant at which the event that caused the change was due, not
from when it was sent: what waited because somebody stood still waited from then on (no coordinated
omission). It ends when a reader with read_committed has the change in hand. Between lie the
producer's and the broker's batches, the service, the transaction's end, and the reader's fetch.

First the service's capacity is found, with load, broker, service and reader on the same machine as
they will be later: all events at once. Then the broker is warmed up with a load of the kind that
follows, which is not measured: in its first minute a virtual machine compiles, on the cores that
all share, and a broker that is in use is past that. Each rate then runs with each commit interval,
exactly once. The first seconds of a run are not counted. Every run is
checked: the reader has seen exactly as many changes as the service says, of all events.

What the broker takes for a transaction that nobody thinks about is told, too: a bare producer's, of
a size like the service's at 10,000 events a second, with nothing else at work.
"""

import argparse
import pathlib
import subprocess
import sys

import programs
from programs import (PROGRAMS, RESULTS, RealBrokers, Wrong, call, check, describe, finish,
                      input_settings, input_topics, log, output_topics, run_settings, save, sets,
                      start, stop)

POINTS = ("p50", "p90", "p99", "p999")


class Run:
    """One load, one service, one reader."""

    def __init__(self, brokers, options, number, events, interval):
        self.brokers, self.options, self.events = brokers, options, events
        self.name = f"load-{number}"
        self.settings = run_settings(brokers, self.name, self.name) | {
            "commit.interval": f"{interval}ms", "delivery": "exactly-once",
            "workers": options.workers}

    def __enter__(self):
        topics = [*input_topics(self.name), *output_topics(self.name)]
        self.brokers.create(topics, self.options.partitions)
        self.service = start(PROGRAMS / "bench_service", "--serve", "--events", self.events,
                             *sets(self.settings))
        self.reader = start(PROGRAMS / "bench_reader", "--latency",
                            *sets(self.settings), stdin=subprocess.PIPE)
        try:
            for process, name in ((self.service, "service"), (self.reader, "reader")):
                check(process.stdout.readline() == "ready\n", f"the {name} did not start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        stop(self.service)
        stop(self.reader)
        self.brokers.delete([*input_topics(self.name), *output_topics(self.name),
                             f"{self.name}.state"])

    def load(self, rate=None):
        """What loadgen says; without a rate everything is due at once."""
        wanted = ["--customers", self.options.customers, "--events", self.events,
                  "--seed", self.options.seed] + (["--rate", rate] if rate else [])
        return programs.loadgen(input_settings(self.brokers, self.name), *wanted)

    def service_report(self, loaded):
        """The service ends by itself when it has processed everything."""
        check(loaded["events"] == self.events,
              f"{loaded['events']} events instead of {self.events}: all customers have left")
        report = finish(self.service, "bench_service")
        check(report["events"] == self.events, f"{report['events']} events of {self.events}")
        return report

    def ask_reader(self, loaded, rate, warm_up, seconds, changes):
        told = f"{loaded['begin_us']} {rate} {warm_up} {seconds} {changes}\n"
        self.reader.stdin.write(told)
        self.reader.stdin.flush()
        answer = finish(self.reader, "bench_reader")
        check(answer["changes"] == changes, f"{answer['changes']} changes read of {changes}")
        return answer


def capacity(brokers, options):
    """Events a second that the service takes while they are being sent, on the same cores."""
    with Run(brokers, options, "capacity", options.capacity_events, 100) as run:
        loaded = run.load()
        report = run.service_report(loaded)
        rate = report["events"] / report["seconds"]
        log(f"capacity: {rate:,.0f} events/s (sent at {loaded['events'] / loaded['seconds']:,.0f})")
        return rate, report


def warm_up(brokers, options, most):
    rate = min(max(options.rates), most / 2)
    with Run(brokers, options, "warm-up", int(rate * options.broker_warm_up),
             options.intervals[0]) as run:
        run.service_report(run.load(round(rate)))


def bare_transactions(brokers, options, interval):
    """The floor: transactions of as many partitions, and nothing else at work."""
    name = f"bare-{interval}"
    topics = [*input_topics(name), *output_topics(name), f"{name}.state"]
    brokers.create(topics, options.partitions)
    answer = call("bench_transaction", "--interval", interval,
                  "--transactions", max(10, int(options.seconds * 1000 / interval / 3)),
                  settings=run_settings(brokers, name, name))
    brokers.delete(topics)
    log(bare_line(interval, answer))
    return {"commit_interval_ms": interval} | answer


def bare_line(interval, answer):
    return (f"a bare transaction each {interval} ms: "
            + ", ".join(f"{point} {answer[f'{point}_ms']:.1f} ms" for point in POINTS[:3]))


def measure(brokers, options, number, rate, interval):
    events = int(rate * (options.warm_up + options.seconds))
    with Run(brokers, options, number, events, interval) as run:
        loaded = run.load(rate)
        report = run.service_report(loaded)
        answer = run.ask_reader(loaded, rate, options.warm_up, options.warm_up + options.seconds,
                                report["changes"])
    check(answer["samples"] > 0, "no change was caused by an event that counts")
    result = {"rate": rate, "commit_interval_ms": interval, "loadgen": loaded, "reader": answer,
              "cpu_ns": report["cpu_ns"] / events, "commits": report["commits"]}
    log(line(result))
    return result


def line(result):
    answer = result["reader"]
    late = result["loadgen"]["behind"]
    note = f"  load behind {late}x, at most {result['loadgen']['behind_ms_max']:.0f} ms" if late else ""
    return (f"{result['rate']:>10,.0f}{result['commit_interval_ms']:>8}"
            + "".join(f"{answer[f'{point}_ms']:>9.1f}" for point in POINTS)
            + f"{answer['max_ms']:>9.1f}{answer['samples']:>10,}{result['cpu_ns']:>9.0f}{note}")


def print_table(results):
    print(f"\n{'events/s':>10}{'commit':>8}" + "".join(f"{point:>9}" for point in
                                                      ("p50", "p90", "p99", "p99.9", "max"))
          + f"{'changes':>10}{'CPU ns':>9}\n{'':10}{'ms':>8}" + f"{'ms':>9}" * 5)
    for result in results:
        print(line(result), flush=True)


def run_all(options):
    programs.check_allocator()
    result = {"bench": "latency", "machine": programs.machine(), "runs": []}
    with RealBrokers() as brokers:
        most, report = capacity(brokers, options)
        result |= {"versions": programs.versions(report), "capacity_events_per_s": most,
                   "customers": options.customers, "partitions": options.partitions,
                   "workers": options.workers, "seconds": options.seconds}
        rates = [*options.rates] + ([round(most * options.share)] if options.share else [])
        number = 0
        warm_up(brokers, options, most)
        result["bare_transactions"] = [bare_transactions(brokers, options, interval)
                                       for interval in options.intervals]
        for rate in rates:
            for interval in options.intervals:
                result["runs"].append(measure(brokers, options, number, rate, interval))
                number += 1
                save(options.out / "latency.json", result)
    print(describe(result))
    print(f"capacity {most:,.0f} events/s; {options.customers:,} customers, "
          f"3 x {options.partitions} partitions, workers: {options.workers}, exactly once")
    print_table(result["runs"])
    print()
    for bare in result["bare_transactions"]:
        print(bare_line(bare["commit_interval_ms"], bare))
    print(f"\n{options.out / 'latency.json'} has all of it")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="latency.sh",
                                     description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rates", type=numbers, default=[1000, 10_000, 50_000], metavar="N,N,...",
                        help="events a second, default 1000,10000,50000")
    parser.add_argument("--share", type=float, default=0.8,
                        help="and this share of the capacity, default 0.8; 0: not")
    parser.add_argument("--intervals", type=numbers, default=[20, 50, 100], metavar="MS,MS,...",
                        help="commit.interval in ms, default 20,50,100")
    parser.add_argument("--seconds", type=float, default=30, help="of each run, default 30")
    parser.add_argument("--warm-up", type=float, default=5, metavar="SECONDS",
                        help="before them, default 5")
    parser.add_argument("--broker-warm-up", type=float, default=45, metavar="SECONDS",
                        help="of load before the first run, default 45")
    parser.add_argument("--customers", type=int, default=100_000, help="default 100000")
    parser.add_argument("--capacity-events", type=int, default=2_000_000, metavar="N",
                        help="to find the capacity with, default 2000000")
    parser.add_argument("--partitions", type=int, default=4, help="of each topic, default 4")
    parser.add_argument("--workers", type=int, default=1, help="of the service, default 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="little data, to check the bench")
    parser.add_argument("--out", type=pathlib.Path, default=RESULTS,
                        metavar="DIRECTORY", help="for latency.json")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rates, options.share, options.intervals = [1000], 0.2, [50]
        options.seconds, options.warm_up, options.partitions = 4, 1, 2
        options.broker_warm_up = 1
        options.customers, options.capacity_events = 3000, 50_000
    return options


def numbers(text):
    return [int(number) for number in text.split(",")]


def main():
    try:
        run_all(parse(sys.argv[1:]))
    except Wrong as wrong:
        print(f"wrong answer: {wrong}", file=sys.stderr)
        return 70
    return 0


if __name__ == "__main__":
    sys.exit(main())
