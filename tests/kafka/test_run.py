"""What `nilai run` publishes is what `nilai replay` says, whoever shares the work.

Goal: events through a real Kafka come out as the changes that the reference command computes
from the same events, each once, none missing; and what cannot work is refused by name.
Method: the input topics are read back and merged here, partition by partition, by the plain
definition (earliest head first, ties by topic); `nilai replay` works each partition off alone;
values are compared byte for byte but for the place named in `cause`.
"""

import collections
import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import tempfile
import time
import unittest
import warnings

import msgpack
import pandas

from kafka import client
from kafka.client import Message
from kafka.cluster import PATIENCE_S, Cluster, free_ports

BINARY = os.environ["NILAI_TEST_BINARY"]
PATIENT = ("--connect-timeout", f"{PATIENCE_S}s")  # also with a broker that has just begun
OUTPUTS = ("nilai.churn-risk", "nilai.value-segment")
FUTURE_MS = 5 * 60 * 1000


def quiet_environment():
    """Settings come from the command line alone."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith("NILAI_") or name.startswith("NILAI_TEST_")}


def end(process):
    """Nothing of a process outlives its test, whatever became of it."""
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


def ask_to_end(process):
    """SIGTERM, once it is an order: who has only just been started would die of it."""
    client.wait_until(lambda: process.poll() is not None or takes_orders(process.pid),
                      "a process does not mind SIGTERM")
    process.send_signal(signal.SIGTERM)


def takes_orders(pid):
    """Whether SIGTERM has a handler, or is blocked in some thread: whoever waits for it says not."""
    masks = []
    for status in pathlib.Path("/proc", str(pid), "task").glob("*/status"):
        with contextlib.suppress(OSError):
            masks += re.findall(r"^Sig(?:Blk|Cgt):\s*(\w+)$", status.read_text(), re.MULTILINE)
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


class Scene:
    """Topics of one test, with names of their own so that one cluster serves all tests."""

    def __init__(self, bootstrap, name, topics=3, **settings):
        self.bootstrap = bootstrap
        self.inputs = [f"{name}.{topic}" for topic in ("purchases", "tickets", "surveys")][:topics]
        self.outputs = {topic: f"{name}.{topic}" for topic in OUTPUTS}
        self.dead_letter = f"{name}.dead-letter"
        self.customers = f"{name}.customers"
        self.group = name
        self.loads = 0
        self.settings = {
            "kafka.bootstrap.servers": bootstrap,
            "group": name,
            "instance": "one",
            "workers": "2",
            "input.topics": ",".join(self.inputs),
            "output.topics.churn_risk": self.outputs[OUTPUTS[0]],
            "output.topics.value_segment": self.outputs[OUTPUTS[1]],
            "output.topics.customers": self.customers,
            "output.topics.dead_letter": self.dead_letter,
            "state.topic": f"{name}.state",
            "topics.create": "true",
            "topics.replication": "1",
        } | {key.replace("__", "."): value for key, value in settings.items()}

    def arguments(self, **settings):
        merged = self.settings | {key.replace("__", "."): value
                                  for key, value in settings.items()}
        return [word for name, value in merged.items() for word in ("--set", f"{name}={value}")]

    def start(self, *options, command="run", **settings):
        connects = command != "check" and PATIENT[0] not in options
        return subprocess.Popen([BINARY, command, *self.arguments(**settings), *options,
                                 *PATIENT * connects],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=quiet_environment())

    def run(self, *options, command="run", **settings):
        process = self.start(*options, command=command, **settings)
        out, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, out, err.decode(errors="replace")

    def create_inputs(self, partitions):
        for topic in self.inputs:
            client.create_topic(self.bootstrap, topic, partitions)

    def input_records(self, *topics):
        """All that ever was in these input topics, or in all."""
        return client.read_all(self.bootstrap, *(topics or self.inputs))

    def published(self):
        """The records of both change topics, by customer; of each topic as they lie there."""
        changes = collections.defaultdict(list)
        for record in client.read_all(self.bootstrap, *self.outputs.values()):
            changes[record.key].append(record)
        for records in changes.values():
            records.sort(key=lambda record: record.topic)
        return changes

    def dead(self):
        return client.read_all(self.bootstrap, self.dead_letter)


def cause_cut(value):
    """The bytes around the value of "cause", and that value."""
    text = value.decode()
    start = text.index('"cause":') + len('"cause":')
    cause, end = json.JSONDecoder().raw_decode(text, start)
    return text[:start], cause, text[end:]


def event_time(value):
    event = msgpack.unpackb(value, strict_map_key=False)
    return event["ts"] if isinstance(event["ts"], int) else int(event["ts"].to_unix_nano() // 1e6)


def merged(partition_topics):
    """Heads by time, ties by topic: the definition, without any cleverness."""
    queues = [collections.deque(records) for records in partition_topics]
    while any(queues):
        best = min((queue for queue in queues if queue), key=lambda queue: event_time(queue[0].value))
        yield best.popleft()


def reference(scene, dead_places, directory):
    """What replay publishes: {key: [(topic, value with the run's cause)]}, ordered as `published`."""
    topics = [scene.input_records(topic) for topic in scene.inputs]
    partitions = client.partition_count(scene.bootstrap, scene.inputs[0])
    changes = collections.defaultdict(list)
    applied = 0
    for partition in range(partitions):
        good = [[record for record in records if record.partition == partition
                 and (record.topic, partition, record.offset) not in dead_places]
                for records in topics]
        order = list(merged(good))
        applied += len(order)
        path = pathlib.Path(directory, f"partition-{partition}")
        path.write_bytes(b"".join(record.value for record in order))
        done = subprocess.run([BINARY, "replay", "--strict", str(path)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=quiet_environment(), check=False)
        if done.returncode != 0:
            raise AssertionError(f"replay: {done.returncode}: {done.stderr.decode()}")
        for line in done.stdout.splitlines():
            message = json.loads(line)
            value = line[line.index(b'"value":') + len(b'"value":'):-1]
            before, cause, after = cause_cut(value)
            if cause["type"] == "event":
                source = order[cause["offset"]]
                cause |= {"topic": source.topic, "partition": partition, "offset": source.offset}
            changes[message["key"].encode()].append(
                (scene.outputs[message["topic"]], before, cause, after))
    for messages in changes.values():
        messages.sort(key=lambda message: message[0])
    return changes, applied


def pack(event):
    return msgpack.packb(event)


def cdnow_purchases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes.datasets import load_dataset
    table = load_dataset("CDNOW_sample.txt", header=None, sep=r"\s+",
                         names=("master", "customer", "date", "number", "amount"))
    table = table.sort_values(["date", "customer"], kind="stable").reset_index(drop=True)
    times = pandas.to_datetime(table["date"].astype(str), format="%Y%m%d")
    for row, time_ms in zip(table.itertuples(), times.astype("int64") // 1_000_000):
        yield {"id": f"p{row.Index}", "type": "purchase", "customer": f"c{row.customer:05d}",
               "ts": int(time_ms), "amount": row.amount}


def told(records, expected):
    """Where each change of a customer was found, and what was to come, to be compared by eye."""
    lines = [f"{record.topic}[{record.partition}]@{record.offset}: "
             f"{record.value.decode()}" for record in records]
    return "\n".join(["found", *lines, "expected",
                      *(f"{topic}: {before}{cause}{after}"
                        for topic, before, cause, after in expected)])


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = cls.enterClassContext(Cluster())

    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="nilai-run-"))

    def scene(self, name, **settings):
        return Scene(self.kafka.bootstrap, name, **settings)

    def check_ended(self, result, code=0):
        self.assertEqual(result[0], code, result[2])
        self.assertEqual(result[1], b"", "standard output is for data")
        return result[2]

    def check_published(self, scene, dead_places=frozenset(), repeated=False):
        expected, applied = reference(scene, dead_places, self.directory)
        actual = scene.published()
        if repeated:  # at least once: what came again must be what it was
            actual = {key: list({record.value: record for record in records}.values())
                      for key, records in actual.items()}
        self.assertGreater(len(expected), 0)
        self.assertEqual(sorted(actual), sorted(expected))
        for key, records in actual.items():
            if len(records) != len(expected[key]):
                self.fail(f"{key}: {told(records, expected[key])}")
            for record, (topic, before, cause, after) in zip(records, expected[key]):
                self.assertEqual(record.topic, topic, key)
                self.assertEqual(cause_cut(record.value), (before, cause, after), key)
                self.check_headers(scene, record)
        return applied

    def check_headers(self, scene, record):
        value = json.loads(record.value)
        topic, = (name for name, topic in scene.outputs.items() if topic == record.topic)
        headers = dict(record.headers)
        self.assertEqual(headers["ce_specversion"], b"1.0")
        self.assertEqual(headers["ce_id"].decode(),
                         f"{value['customer']}:{value['at']}:{value['seq']}")
        self.assertEqual(headers["ce_source"], b"nilai")
        self.assertEqual(headers["ce_type"].decode(), topic + ".v1")
        self.assertEqual(headers["content-type"], b"application/json")

    # --- The same changes -----------------------------------------------------------------

    def test_cdnow_over_three_topics_is_what_replay_says(self):
        scene = self.scene("cdnow")
        scene.create_inputs(4)
        batches = [[], [], []]
        for index, event in enumerate(cdnow_purchases()):
            batches[index % 3].append(Message(pack(event), event["customer"].encode()))
        for topic, batch in zip(scene.inputs, batches):
            client.produce(self.kafka.bootstrap, topic, batch)
        self.check_ended(scene.run("--exit-at-end"))
        self.assertEqual(self.check_published(scene), sum(map(len, batches)))
        self.assertEqual(scene.dead(), [])

    def test_two_processes_share_200000_events_with_late_repeated_and_bad_ones(self):
        scene = self.scene("shared")
        scene.create_inputs(8)
        self.check_ended(scene.run(
            "--events", "200000", "--customers", "8000", "--seed", "11", "--late", "0.02",
            "--duplicate", "0.02", "--bad", "0.02", "--erase", "0.0005", command="loadgen"))
        first = scene.start("--exit-at-end")
        second = scene.start("--exit-at-end", instance="two")
        for process in (first, second):
            out, err = process.communicate(timeout=PATIENCE_S)
            self.assertEqual((process.returncode, out), (0, b""), err.decode())
        dead = scene.dead()
        places = self.check_dead_letters(scene, dead)
        self.assertGreater(len(places), 3000)
        self.assertEqual(len(places), len(dead), "a dead letter came twice")
        applied = self.check_published(scene, places)
        self.assertEqual(applied + len(places), 200000)
        self.check_committed_to_the_end(scene)

    def check_dead_letters(self, scene, dead):
        """Each is whole, and replay refuses it for the same reason (where it can know)."""
        inputs = {(record.topic, record.partition, record.offset): record
                  for record in scene.input_records()}
        places, sampled = set(), collections.Counter()
        for letter in dead:
            errors = {name.removeprefix("__connect.errors."): value.decode()
                      for name, value in letter.headers if name.startswith("__connect.errors.")}
            self.assertEqual(set(errors), {"topic", "partition", "offset", "stage", "class.name",
                                           "exception.message"})
            place = (errors["topic"], int(errors["partition"]), int(errors["offset"]))
            places.add(place)
            original = inputs[place]
            self.assertEqual((letter.key, letter.value), (original.key, original.value))
            self.assertEqual(letter.headers[:len(original.headers)], original.headers)
            kind = errors["class.name"]
            sampled[kind] += 1
            # A file is cut into values by their own lengths, which malformed ones may lack.
            if kind not in ("key-mismatch", "malformed") and sampled[kind] <= 5:
                self.assertEqual(self.class_by_replay(original.value), kind)
        self.assertGreaterEqual(len(sampled), 7, sampled)
        return places

    def class_by_replay(self, value):
        path = pathlib.Path(self.directory, "dead")
        path.unlink(missing_ok=True)
        event = pathlib.Path(self.directory, "event")
        event.write_bytes(value)
        subprocess.run([BINARY, "replay", "--dead-letter", str(path), str(event)], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=quiet_environment())
        return json.loads(path.read_text().splitlines()[0])["class"]

    def check_committed_to_the_end(self, scene):
        for topic in scene.inputs:
            counts = collections.Counter(record.partition for record in
                                         client.read_all(self.kafka.bootstrap, topic))
            committed = client.committed(self.kafka.bootstrap, scene.group, topic)
            for partition, offset in enumerate(committed):
                self.assertEqual(offset or 0, counts[partition], (topic, partition))

    def test_a_second_run_publishes_nothing_again_and_goes_on_where_the_first_ended(self):
        scene = self.scene("again")
        scene.create_inputs(3)
        events = list(cdnow_purchases())
        half = len(events) // 2
        for part in (events[:half], events[half:], []):
            for number, topic in enumerate(scene.inputs):
                batch = [Message(pack(event), event["customer"].encode())
                         for event in part[number::3]]
                if batch:
                    client.produce(self.kafka.bootstrap, topic, batch)
            self.check_ended(scene.run("--exit-at-end"))
        self.check_published(scene)

    # --- Life -----------------------------------------------------------------------------

    def wait_for_log(self, process, pattern):
        """Reads the log until a line matches."""
        deadline = time.monotonic() + PATIENCE_S
        seen = []
        while time.monotonic() < deadline:
            line = process.stderr.readline().decode()
            seen.append(line)
            if re.search(pattern, line):
                return
            if not line and process.poll() is not None:
                break
        self.fail("never logged " + pattern + ":\n" + "".join(seen))

    def serve_until(self, scene, holds):
        """In service until that is so, then SIGTERM, which must be clean."""
        process = scene.start()
        try:
            self.wait_for_log(process, r"lag 0, partitions 2 \(replaying 0\)")
            client.wait_until(holds, "there is something left to do")
            ask_to_end(process)
            _, err = process.communicate(timeout=PATIENCE_S)
        finally:
            end(process)
        self.assertEqual(process.returncode, 0, err.decode())

    def test_sigterm_commits_and_the_wall_clock_is_not_followed_twice(self):
        scene = self.scene("sigterm", output__customers="true")
        scene.create_inputs(2)
        events = list(cdnow_purchases())[:3000]
        client.produce(self.kafka.bootstrap, scene.inputs[0],
                       [Message(pack(event), event["customer"].encode()) for event in events])
        # What became of these customers after their last event, only the wall clock tells.
        self.serve_until(scene, lambda: self.committed_sum(scene) == len(events)
                         and self.is_told_by_time(scene, events[-1]["ts"]))
        self.check_committed_to_the_end(scene)
        first = [record.value for records in scene.published().values() for record in records]
        self.check_feed(scene, {event["customer"] for event in events})

        self.serve_until(scene, lambda: True)
        second = [record.value for records in scene.published().values() for record in records]
        identities = [(json.loads(value)["customer"], json.loads(value)["seq"])
                      for value in second]
        self.assertEqual(len(identities), len(set(identities)))
        self.assertLessEqual(set(first), set(second))

    def is_told_by_time(self, scene, after_ms):
        """Whether a change was published that no event up to then has caused."""
        values = [json.loads(record.value) for records in scene.published().values()
                  for record in records]
        return any(value["cause"]["type"] == "timer" and value["at"] > after_ms
                   for value in values)

    def check_feed(self, scene, customers):
        latest = {record.key.decode(): json.loads(record.value)
                  for record in client.read_all(self.kafka.bootstrap, scene.customers)}
        self.assertEqual(set(latest), customers)
        for customer, state in latest.items():
            self.assertEqual(state["customer"], customer)

    def test_an_erased_customer_leaves_a_tombstone_in_the_feed(self):
        scene = self.scene("erased", output__customers="true")
        scene.create_inputs(1)
        day = 86400000
        client.produce(self.kafka.bootstrap, scene.inputs[0], [
            Message(pack({"id": "1", "type": "purchase", "customer": "ana", "ts": day,
                          "amount": 5}), b"ana"),
            Message(pack({"id": "2", "type": "purchase", "customer": "bo", "ts": day,
                          "amount": 5}), b"bo")])
        self.check_ended(scene.run("--exit-at-end"))
        client.produce(self.kafka.bootstrap, scene.inputs[1], [
            Message(pack({"id": "3", "type": "erase", "customer": "ana", "ts": 2 * day}), b"ana")])
        self.check_ended(scene.run("--exit-at-end"))
        latest = {record.key: record.value
                  for record in client.read_all(self.kafka.bootstrap, scene.customers)}
        self.assertIsNone(latest[b"ana"])
        self.assertEqual(json.loads(latest[b"bo"])["customer"], "bo")

    def test_kill_9_loses_nothing_at_least_once(self):
        scene = self.scene("killed", delivery="at-least-once")
        scene.create_inputs(6)
        self.check_ended(scene.run("--events", "150000", "--customers", "6000", "--seed", "12",
                                   "--late", "0.01", "--bad", "0.01", command="loadgen"))
        for delay_s in (0.3, 0.6, 0.9):
            process = scene.start("--exit-at-end", kafka__session__timeout__ms="6000")
            try:
                self.wait_for_output(scene, process)
                time.sleep(delay_s)
            finally:
                end(process)
        self.check_ended(scene.run("--exit-at-end", kafka__session__timeout__ms="6000"))
        places = self.check_dead_letters(scene, scene.dead())
        self.check_published(scene, places, repeated=True)

    def wait_for_output(self, scene, process):
        """Until the group has moved: offsets were committed, and more than before."""
        before = self.committed_sum(scene)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and process.poll() is None:
            if self.committed_sum(scene) > before:
                return
            time.sleep(0.05)

    def committed_sum(self, scene):
        return sum(offset or 0 for topic in scene.inputs
                   for offset in client.committed(self.kafka.bootstrap, scene.group, topic))

    def test_a_second_process_of_one_instance_is_told_apart(self):
        """They displace each other; which of them gives up is a matter of speed."""
        scene = self.scene("fenced")
        scene.create_inputs(2)
        processes = [scene.start()]
        try:
            self.wait_for_log(processes[0], r"partitions 2 \(replaying 0\)")
            processes.append(scene.start())
            client.wait_until(lambda: any(process.poll() is not None for process in processes),
                              "they get along")
            processes.sort(key=lambda process: process.poll() is None)
            _, err = processes[0].communicate()
            self.assertEqual(processes[0].returncode, 78, err.decode())
            self.assertIn("instance", err.decode())
            ask_to_end(processes[1])
            _, err = processes[1].communicate(timeout=PATIENCE_S)
            self.assertEqual(processes[1].returncode, 0, err.decode())
        finally:
            for process in processes:
                end(process)

    # --- Refusals -------------------------------------------------------------------------

    def test_brokers_that_do_not_answer_are_named_within_the_time_given(self):
        port, = free_ports(1)
        scene = self.scene("nobody", kafka__bootstrap__servers=f"127.0.0.1:{port}")
        started = time.monotonic()
        text = self.check_ended(scene.run("--connect-timeout", "2s"), 69)
        self.assertLess(time.monotonic() - started, 60)
        self.assertIn(f"127.0.0.1:{port} within 2 s", text)

    def test_missing_topics_are_listed_with_the_way_out(self):
        scene = self.scene("missing", topics__create="false")
        client.create_topic(self.kafka.bootstrap, scene.inputs[0], 2)
        text = self.check_ended(scene.run(), 78)
        for topic in [*scene.inputs[1:], *scene.outputs.values(), scene.dead_letter]:
            self.assertIn(topic, text)
        self.assertNotIn(scene.inputs[0] + ",", text)
        self.assertIn("topics.create", text)

    def test_unequal_numbers_of_partitions_are_told(self):
        scene = self.scene("unequal")
        for topic, count in zip(scene.inputs, (2, 3, 2)):
            client.create_topic(self.kafka.bootstrap, topic, count)
        text = self.check_ended(scene.run(), 78)
        self.assertIn(f"{scene.inputs[1]} has 3", text)
        self.assertIn(f"{scene.inputs[0]} has 2", text)

    def test_a_compacted_input_topic_is_refused(self):
        scene = self.scene("compacted")
        scene.create_inputs(2)
        inputs = [*scene.inputs[:2], "compacted.short"]
        client.create_topic(self.kafka.bootstrap, "compacted.short", 2,
                            config={"cleanup.policy": "compact"})
        text = self.check_ended(scene.run(input__topics=",".join(inputs)), 78)
        self.assertIn("compacted.short", text)
        self.assertIn("cleanup.policy", text)

    def test_an_input_topic_that_forgets_is_told(self):
        scene = self.scene("forgetful")
        for topic, minutes in zip(scene.inputs, (-1, 30, 61)):
            client.create_topic(self.kafka.bootstrap, topic, 1,
                                config={"retention.ms": max(minutes * 60000, -1)})
        code, _, err = scene.run("--exit-at-end")
        self.assertEqual(code, 0, err)
        self.assertRegex(err, f"warning input topic {scene.inputs[1]} keeps events for 0.5 hours")
        self.assertEqual(err.count("keeps events"), 1, err)

    def test_topics_are_made_with_the_settings_they_need_and_two_may_make_them(self):
        scene = self.scene("made", output__customers="true")
        processes = [scene.start("--exit-at-end", instance=name) for name in ("one", "two")]
        for process in processes:
            _, err = process.communicate(timeout=PATIENCE_S)
            self.assertEqual(process.returncode, 0, err.decode())
        counts = {client.partition_count(self.kafka.bootstrap, topic)
                  for topic in [*scene.inputs, *scene.outputs.values(), scene.dead_letter,
                                scene.customers]}
        self.assertEqual(counts, {8})
        settings = self.topic_settings(scene.customers, scene.dead_letter, scene.inputs[0])
        self.assertEqual(settings[scene.customers]["cleanup.policy"], "compact")
        for name, value in (("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")):
            self.assertEqual(settings[scene.inputs[0]][name], value)
        self.assertGreater(int(settings[scene.dead_letter]["max.message.bytes"]),
                           int(settings[scene.inputs[0]]["max.message.bytes"]))

    def topic_settings(self, *topics):
        from confluent_kafka.admin import AdminClient, ConfigResource
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
        return {resource.name: {name: entry.value for name, entry in future.result().items()}
                for resource, future in admin.describe_configs(resources).items()}

    def test_a_dead_letter_too_large_for_its_topic_comes_without_its_value(self):
        scene = self.scene("large")
        client.create_topic(self.kafka.bootstrap, scene.inputs[0], 1,
                            config={"max.message.bytes": 4000000})
        for topic in scene.inputs[1:]:
            client.create_topic(self.kafka.bootstrap, topic, 1)
        client.create_topic(self.kafka.bootstrap, scene.dead_letter, 1,
                            config={"max.message.bytes": 1048588})
        large = random.Random(5).randbytes(2000000)  # what cannot be compressed
        client.produce(self.kafka.bootstrap, scene.inputs[0],
                       [Message(large, b"k", 0, (("trace", b"7"),))],
                       {"message.max.bytes": 4000000})
        self.check_ended(scene.run("--exit-at-end"))
        letter, = scene.dead()
        headers = dict(letter.headers)
        self.assertEqual((letter.key, letter.value), (b"k", None))
        self.assertEqual(headers["nilai.value.omitted"], b"2000000")
        self.assertEqual(headers["__connect.errors.class.name"], b"too-large")
        self.assertEqual(headers["trace"], b"7")


if __name__ == "__main__":
    unittest.main(verbosity=2)
