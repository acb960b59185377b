"""What `nilai loadgen` says it sent is what a real Kafka holds.

Goal: every event once, on the right topic, a customer in the same partition of all topics; a
signal ends the load cleanly; what cannot work is refused with its own exit code.
Method: read all topics back, decode the values here, and compare with the truth.
"""

import collections
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import msgpack

from kafka import client
from kafka.cluster import PATIENCE_S, Cluster, free_ports
from kafka.test_run import PATIENT, ask_to_end

BINARY = os.environ["NILAI_TEST_BINARY"]
TOPIC_OF = {"purchase": 0, "refund": 0, "ticket": 1, "erase": 1, "survey": 2}


def command(bootstrap, topics, *options):
    return [BINARY, "loadgen", "--set", f"kafka.bootstrap.servers={bootstrap}",
            "--set", "input.topics=" + ",".join(topics), *options]


def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("NILAI_")}


def loadgen(*arguments):
    connects = () if PATIENT[0] in arguments else PATIENT
    return subprocess.run(command(*arguments, *connects), env=environment(), capture_output=True, text=True,
                          timeout=PATIENCE_S, check=False)


class LoadgenIntoKafka(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(nodes=1)
        cls.kafka = cls.cluster.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    def topics(self, name, *counts):
        names = [f"{name}-{number}" for number in range(len(counts))]
        for topic, count in zip(names, counts):
            client.create_topic(self.kafka.bootstrap, topic, count)
        return names

    def test_every_event_arrives_once_where_it_belongs(self):
        topics = self.topics("all", 4, 4, 4)
        with tempfile.TemporaryDirectory() as directory:
            truth_file = pathlib.Path(directory) / "truth"
            done = loadgen(self.kafka.bootstrap, topics, "--events", "20000", "--customers", "500",
                           "--erase", "0.001", "--truth", str(truth_file))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, "")
            truth = {row["customer"]: row
                     for row in map(json.loads, truth_file.read_text().splitlines())}
        records = client.read_all(self.kafka.bootstrap, *topics)
        self.assertEqual(len(records), 20000)
        places, purchases, ids = {}, collections.Counter(), set()
        for record in records:
            event = msgpack.unpackb(record.value)
            self.assertEqual(record.topic, topics[TOPIC_OF[event["type"]]])
            self.assertEqual(record.key, event["customer"].encode())
            self.assertEqual(places.setdefault(record.key, record.partition), record.partition)
            purchases[event["customer"]] += event["type"] == "purchase"
            ids.add(event["id"])
        self.assertEqual(len(ids), 20000)
        self.assertEqual(len(set(places.values())), 4)
        self.assertEqual(dict(purchases), {name: row["purchases"] for name, row in truth.items()})

    def test_a_message_can_be_bad_in_ways_a_file_cannot(self):
        topics = self.topics("bad", 2)
        done = loadgen(self.kafka.bootstrap, topics, "--events", "3000", "--bad", "0.5",
                       "--bad-classes", "key-mismatch,malformed", "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        foreign = empty = 0
        for record in client.read_all(self.kafka.bootstrap, *topics):
            empty += record.value is None
            try:
                foreign += json.loads(record.value)["customer"].encode() != record.key
            except (ValueError, KeyError, TypeError):
                pass
        self.assertIn(f"key-mismatch {foreign}", done.stderr)
        self.assertGreater(foreign, 600)
        self.assertGreater(empty, 50)

    def test_the_rate_is_kept_and_a_signal_ends_it(self):
        topics = self.topics("rate", 1)
        with tempfile.TemporaryDirectory() as directory:
            truth_file = pathlib.Path(directory) / "truth"
            with subprocess.Popen(
                    command(self.kafka.bootstrap, topics, "--events", "1000000", "--rate", "500",
                            "--truth", str(truth_file), *PATIENT),
                    env=environment(), stderr=subprocess.PIPE, text=True) as process:
                begun = time.monotonic()
                time.sleep(4)
                client.wait_until(
                    lambda: sum(client.end_offsets(self.kafka.bootstrap, topics[0])) > 500,
                    "500 events do not come")
                ask_to_end(process)
                _, errors = process.communicate(timeout=PATIENCE_S)
                took_s = time.monotonic() - begun
            self.assertEqual(process.returncode, 0, errors)
            purchases = sum(json.loads(row)["purchases"]
                            for row in truth_file.read_text().splitlines())
        self.assertIn("stopped by a signal", errors)
        records = client.read_all(self.kafka.bootstrap, *topics)
        self.assertGreater(len(records), 500)
        self.assertLessEqual(len(records), 500 * took_s + 100)
        events = [msgpack.unpackb(record.value) for record in records]
        self.assertEqual(sum(event["type"] == "purchase" for event in events), purchases)
        self.assertIn(f"delivered {len(records)}, failed 0", errors)

    def test_what_cannot_work_is_refused(self):
        missing = loadgen(self.kafka.bootstrap, ["nowhere"], "--events", "10")
        self.assertEqual(missing.returncode, 78, missing.stderr)
        self.assertIn("nowhere does not exist", missing.stderr)
        uneven = loadgen(self.kafka.bootstrap, self.topics("uneven", 2, 3), "--events", "10")
        self.assertEqual(uneven.returncode, 78, uneven.stderr)
        self.assertIn("2 and 3 partitions", uneven.stderr)
        large = loadgen(self.kafka.bootstrap, self.topics("large", 1), "--events", "100", "--bad",
                        "0.5", "--bad-classes", "too-large")
        self.assertEqual(large.returncode, 78, large.stderr)
        self.assertIn("message.max.bytes", large.stderr)
        nobody = loadgen(f"127.0.0.1:{free_ports(1)[0]}", ["any"], "--connect-timeout", "1s")
        self.assertEqual(nobody.returncode, 69, nobody.stderr)
        self.assertIn("no broker answered within 1000 ms", nobody.stderr)


if __name__ == "__main__":
    unittest.main()
