"""What the benches over Kafka share: programs and their answers, topics, the machine, medians."""

import contextlib
import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from kafka import client
from kafka.cluster import LIBS, Cluster
from kafka.test_run import quiet_environment

PROGRAMS = pathlib.Path(os.environ["NILAI_TEST_PROGRAMS"])
BINARY = os.environ["NILAI_TEST_BINARY"]
RESULTS = pathlib.Path(__file__).resolve().parents[1] / "build/bench-results"
PATIENCE_S = 3600
INPUTS = ("purchases", "support-tickets", "surveys")
OUTPUTS = {"output.topics.churn_risk": "churn-risk",
           "output.topics.value_segment": "value-segment",
           "output.topics.dead_letter": "dead-letter"}
# A broker that is to be measured against, not one that is to be small; what is deleted goes soon.
BROKER = {"log.segment.delete.delay.ms": 1000, "log.segment.bytes": 256 << 20,
          "log.cleanup.policy": "delete", "log.retention.ms": -1}


class Wrong(Exception):
    """A run did not do what it should have: its figures mean nothing."""


def check(fine, text):
    if not fine:
        raise Wrong(text)


def log(text):
    print(text, file=sys.stderr, flush=True)


# --- Programs --------------------------------------------------------------------------------

def sets(settings):
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def start(program, *arguments, **streams):
    return subprocess.Popen([str(program), *map(str, arguments)], env=quiet_environment(),
                            **({"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                                "text": True} | streams))


def finish(process, name):
    """The JSON object that the program printed."""
    try:
        out, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    check(process.returncode == 0, f"{name} ended with {process.returncode}")
    return json.loads(out.splitlines()[-1])


def check_allocator():
    """The linker leaves a library out that nobody names, and nothing else tells."""
    for program in (BINARY, PROGRAMS / "bench_drain", PROGRAMS / "bench_service"):
        check(b"libjemalloc" in pathlib.Path(program).read_bytes(),
              f"{program} was linked without its allocator")


def call(name, *arguments, settings=None):
    return finish(start(PROGRAMS / name, *arguments, *sets(settings or {})), name)


def loadgen(settings, *arguments):
    """Loads events; what loadgen says of them, and its CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start(BINARY, "loadgen", *arguments, *sets(settings), stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE)
    _, text = process.communicate(timeout=PATIENCE_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    check(process.returncode == 0, f"loadgen ended with {process.returncode}:\n{text}")
    return told(text) | {"cpu_s": after.ru_utime + after.ru_stime
                                  - before.ru_utime - before.ru_stime}


def told(text):
    """The summary of loadgen."""
    head = re.search(r"nilai loadgen: (\d+) events, (\d+) bytes, in ([\d.]+) s", text)
    check(head, f"loadgen has said nothing of its load:\n{text}")
    answer = {"events": int(head[1]), "value_bytes": int(head[2]), "seconds": float(head[3])}
    delivered = re.search(r"delivered (\d+), failed (\d+), not acknowledged (\d+)", text)
    if delivered:
        check(delivered.groups() == (head[1], "0", "0"), f"not all was delivered:\n{text}")
    schedule = re.search(r"wanted \S+/s from ([\d.]+); (.*)", text)
    if schedule:
        late = re.match(r"(\d+) events were more than \d+ ms behind schedule, at most ([\d.]+) ms",
                        schedule[2])
        answer |= {"begin_us": round(float(schedule[1]) * 1e6),
                   "behind": int(late[1]) if late else 0,
                   "behind_ms_max": float(late[2]) if late else 0.0}
    return answer


def stop(process):
    """Whatever became of it, it does not outlive us."""
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


# --- Brokers and topics ----------------------------------------------------------------------

class RealBrokers:
    """One Apache Kafka."""
    emulated = False

    def __init__(self, heap_mb=1024):
        self.cluster = Cluster(nodes=1, properties=BROKER, heap_mb=heap_mb)

    def __enter__(self):
        self.cluster.__enter__()
        self.bootstrap = self.cluster.bootstrap
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
        return self

    def __exit__(self, *error):
        self.admin = None
        self.cluster.__exit__(*error)

    def create(self, topics, partitions):
        client.create_topics(self.bootstrap, [NewTopic(topic, partitions, 1) for topic in topics])

    def delete(self, topics):
        """Some of them may never have been made."""
        for future in self.admin.delete_topics(topics, operation_timeout=60).values():
            with contextlib.suppress(KafkaException):
                future.result()


class EmulatedBrokers:
    """librdkafka's own emulation, in a process of its own. It has all its topics from the start."""
    emulated = True

    def __init__(self, topics, partitions):
        self.topics, self.partitions = topics, partitions

    def __enter__(self):
        self.process = start(PROGRAMS / "bench_brokers", self.partitions, *self.topics,
                             stdin=subprocess.PIPE)
        self.bootstrap = self.process.stdout.readline().strip()
        check(self.bootstrap, "the emulated brokers did not start")
        return self

    def __exit__(self, *error):
        stop(self.process)

    def create(self, topics, partitions):
        check(set(topics) <= set(self.topics) and partitions == self.partitions,
              f"{topics} should have been there from the start")

    def delete(self, topics):
        pass


def input_settings(brokers, prefix):
    return {"kafka.bootstrap.servers": brokers.bootstrap,
            "input.topics": ",".join(input_topics(prefix)), "log.level": "error"}


def input_topics(prefix):
    return [f"{prefix}.{topic}" for topic in INPUTS]


def output_topics(prefix):
    return [f"{prefix}.{topic}" for topic in OUTPUTS.values()]


def run_settings(brokers, inputs, prefix):
    """Of one run: its inputs, and groups and outputs of its own."""
    return input_settings(brokers, inputs) | {
        setting: f"{prefix}.{topic}" for setting, topic in OUTPUTS.items()
    } | {"group": prefix, "instance": "one", "state.topic": f"{prefix}.state",
         "topics.create": "true", "topics.replication": "1", "time.follow_wall_clock": "false"}


# --- What it ran on --------------------------------------------------------------------------

def first_match(path, pattern):
    match = re.search(pattern, pathlib.Path(path).read_text(), re.MULTILINE)
    return match[1] if match else "unknown"


def machine():
    return {"cpu": first_match("/proc/cpuinfo", r"^model name\s*: (.*)$"),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(int(first_match("/proc/meminfo", r"^MemTotal:\s*(\d+)")) / 2**20, 1),
            "system": f"{platform.system()} {platform.release()}"}


def versions(answer, emulated=False):
    jar, = list(LIBS.glob("kafka_2.13-*.jar"))[:1] or [pathlib.Path("kafka_2.13-unknown.jar")]
    kafka = "emulated" if emulated else jar.stem.removeprefix("kafka_2.13-")
    return {"nilai": answer["nilai"], "librdkafka": answer["librdkafka"],
            "compiler": answer["compiler"], "kafka": kafka}


def describe(environment):
    machine_, versions_ = environment["machine"], environment["versions"]
    return (f"{machine_['cpu']}, {machine_['cores']} cores, {machine_['memory_gib']} GiB, "
            f"{machine_['system']}\n"
            f"nilai {versions_['nilai']}, librdkafka {versions_['librdkafka']}, "
            f"Kafka {versions_['kafka']}, {versions_['compiler']}; "
            "everything shares the machine, the broker too")


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def save(path, result):
    """Whole or not at all: a bench that is ended half way leaves what it had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(result, indent=1) + "\n")
    scratch.replace(path)
