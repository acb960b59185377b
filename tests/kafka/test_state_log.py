"""The journal as its reader sees it, where only a real broker tells the truth.

Goal: what is there when a partition is opened is read, whole and in order: what an open transaction
holds is waited for, what was aborted is left out. Ends are told and heads are deleted, also while
somebody reads there.
Method: a program that does as it is told (state_log_probe.c) on one broker; producers in
transactions, one of which is killed.
"""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest

from kafka import client, cluster
from kafka.cluster import PATIENCE_S

PROBE = os.environ.get("NILAI_TEST_STATE_LOG_PROBE")
PARTITIONS = 4
TRANSACTION_MS = 600000  # nobody is that slow: it is ended by who comes back under its name

# A producer that leaves a transaction open, says so, and waits to be killed.
FORGETFUL = """
import sys
from confluent_kafka import Producer
bootstrap, topic, timeout_ms = sys.argv[1:4]
producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "forgetful",
                     "transaction.timeout.ms": int(timeout_ms)})
producer.init_transactions(240)
producer.begin_transaction()
for number in range(20):
    producer.produce(topic, f"open-{number} ", partition=0)
producer.flush(240)
print("open", flush=True)
sys.stdin.read()
"""


def fnv(values):
    result = 0xcbf29ce484222325
    for value in values:
        for byte in value:
            result = (result ^ byte) * 0x100000001b3 & (1 << 64) - 1
    return f"{result:016x}"


class Probe:
    """One state_log_probe; each call is one of its commands."""

    def __init__(self, bootstrap, topic):
        self.process = subprocess.Popen([PROBE, bootstrap, topic, str(PARTITIONS)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __getattr__(self, verb):
        def call(*arguments):
            print(verb, *arguments, file=self.process.stdin, flush=True)
            return self.process.stdout.readline().strip()
        return call

    def end_process(self):
        """The end of its input is the end of the program; what it says of itself is its code."""
        try:
            self.process.communicate(timeout=PATIENCE_S)
        finally:
            self.process.kill()
        if self.process.returncode != 0:
            raise AssertionError(f"the probe ended with {self.process.returncode}")


def in_transaction(bootstrap, topic, partition, values, commit=True, name="writer"):
    producer = client.new_producer(bootstrap, {"transactional.id": name})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    client.send(producer, topic, [client.Message(value, partition=partition) for value in values])
    client.finish(producer)
    if commit:
        producer.commit_transaction(PATIENCE_S)
    else:
        producer.abort_transaction(PATIENCE_S)


class Scene(unittest.TestCase):
    number = 0

    @classmethod
    def setUpClass(cls):
        # Small segments, so that deleting has something to delete.
        cls.kafka = cls.enterClassContext(cluster.Cluster(properties={"log.segment.bytes": 1048576}))

    def setUp(self):
        Scene.number += 1
        self.topic = f"state-{Scene.number}"


class Topic(Scene):
    """What must be true of the journal's topic before anything is read or written."""

    def setUp(self):
        super().setUp()
        self.input = f"input-{Scene.number}"
        client.create_topic(self.kafka.bootstrap, self.input, PARTITIONS,
                            config={"retention.ms": "-1"})

    def prepare(self, create=False):
        return subprocess.run([PROBE, self.kafka.bootstrap, self.topic, "prepare", self.input,
                               "yes" if create else "no"], check=True, stdout=subprocess.PIPE,
                              text=True, timeout=PATIENCE_S).stdout.strip()

    def make(self, partitions=PARTITIONS, **changes):
        client.create_topic(self.kafka.bootstrap, self.topic, partitions,
                            config=client.KEPT | changes)

    def test_it_is_asked_for_and_made_as_it_must_be(self):
        text = self.prepare()
        self.assertIn(self.topic, text)
        self.assertIn("topics.create", text)
        self.assertEqual(self.prepare(create=True), f"ok {PARTITIONS}")
        self.assertEqual(client.partition_count(self.kafka.bootstrap, self.topic), PARTITIONS)
        self.assertEqual(self.prepare(), f"ok {PARTITIONS}")

    def test_one_made_by_hand_is_as_good(self):
        self.make()
        self.assertEqual(self.prepare(), f"ok {PARTITIONS}")

    def test_another_number_of_partitions_is_refused(self):
        self.make(partitions=PARTITIONS - 1)
        for create in (False, True):
            text = self.prepare(create)
            self.assertIn(f"{self.topic} (state.topic) has {PARTITIONS - 1} partitions", text)

    def check_refused(self, name, value, cure):
        text = self.prepare()
        self.assertIn(f"{self.topic} (state.topic) has {name}={value}", text)
        self.assertIn(f"--entity-name {self.topic} --add-config {cure}", text)

    def test_a_retention_is_refused_with_the_command_that_mends_it(self):
        cure = ",".join(f"{name}={value}" for name, value in client.KEPT.items())
        for name, value in (("cleanup.policy", "compact"), ("cleanup.policy", "compact,delete"),
                            ("retention.ms", "604800000"), ("retention.bytes", "1000000")):
            with self.subTest(name=name, value=value):
                Scene.number += 1
                self.topic = f"state-{Scene.number}"
                self.make(**{name: value})
                self.check_refused(name, value, cure)


class StateLog(Scene):
    def setUp(self):
        super().setUp()
        client.create_topic(self.kafka.bootstrap, self.topic, PARTITIONS,
                            config={"retention.ms": "-1"})
        self.probe = self.new_probe()

    def new_probe(self):
        probe = Probe(self.kafka.bootstrap, self.topic)
        self.addCleanup(probe.end_process)
        return probe

    def write(self, partition, values):
        client.produce(self.kafka.bootstrap, self.topic,
                       [client.Message(value, partition=partition) for value in values])

    def check_all(self, partition, end, values):
        labels = [value.split(b" ")[0].decode() for value in values]
        self.assertEqual(self.probe.drain(partition, PATIENCE_S * 1000),
                         f"{end} {len(values)} {labels[0]} {labels[-1]} {fnv(values)}")

    def low(self, partition):
        return client.watermarks(self.kafka.bootstrap, self.topic)[partition][0]

    def wait_for_low(self, partition, offset):
        deadline = time.monotonic() + PATIENCE_S
        while self.low(partition) < offset:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
        self.assertEqual(self.low(partition), offset)

    def test_what_is_aborted_is_left_out_and_control_records_do_not_hide_the_end(self):
        first = [b"a-%d " % number for number in range(50)]
        third = [b"c-%d " % number for number in range(50)]
        in_transaction(self.kafka.bootstrap, self.topic, 0, first)
        in_transaction(self.kafka.bootstrap, self.topic, 0, [b"no "] * 30, commit=False)
        in_transaction(self.kafka.bootstrap, self.topic, 0, third)
        in_transaction(self.kafka.bootstrap, self.topic, 0, [b"no "] * 30, commit=False)
        in_transaction(self.kafka.bootstrap, self.topic, 1, [b"no "] * 30, commit=False)
        client.wait_until_decided(self.kafka.bootstrap, self.topic)  # the brokers answer before
        for partition in range(3):
            self.assertEqual(self.probe.open(partition), "ok")
        self.check_all(0, 164, first + third)  # a control record each
        self.assertEqual(self.probe.drain(1, PATIENCE_S * 1000).split()[:2], ["31", "0"])
        self.assertEqual(self.probe.drain(2, PATIENCE_S * 1000).split()[:2], ["0", "0"])
        self.assertEqual(self.probe.mark(0), "164")

    def test_an_open_transaction_is_waited_for_until_it_is_decided(self):
        before = [b"before-%d " % number for number in range(10)]
        self.write(0, before)
        forgetful = subprocess.Popen(
            [sys.executable, "-c", FORGETFUL, self.kafka.bootstrap, self.topic,
             str(TRANSACTION_MS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(forgetful.stdout.readline(), "open\n")
            forgetful.send_signal(signal.SIGKILL)
        finally:
            forgetful.kill()
            forgetful.communicate()
        self.assertEqual(self.probe.mark(0), "30")
        self.assertEqual(self.probe.open(0), "ok")
        self.assertEqual(self.probe.end(0), "30")
        client.wait_until(lambda: self.probe.drain(0, 1000) == "waiting 10", "not all is read")
        self.assertEqual(self.probe.drain(0, 1000), "waiting 10")
        # Somebody else goes on behind it; that is not ours to read.
        self.write(0, [b"after "] * 5)
        begun = time.monotonic()
        decided = threading.Timer(2, self.come_back)
        decided.start()
        self.check_all(0, 30, before)
        self.assertGreater(time.monotonic() - begun, 2)
        decided.join()
        self.assertEqual(self.probe.open(0), "ok")
        self.check_all(0, 36, before + [b"after "] * 5)  # the marker of the abort is there, too

    def come_back(self):
        """The producer that was killed begins anew, and the brokers abort what it left."""
        producer = client.new_producer(self.kafka.bootstrap, {"transactional.id": "forgetful"})
        producer.init_transactions(PATIENCE_S)

    def test_an_open_transaction_that_commits_is_read(self):
        producer = client.new_producer(self.kafka.bootstrap, {"transactional.id": "slow"})
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        values = [b"late-%d " % number for number in range(10)]
        client.send(producer, self.topic,
                    [client.Message(value, partition=3) for value in values])
        client.finish(producer)
        self.assertEqual(self.probe.open(3), "ok")
        self.assertEqual(self.probe.end(3), "10")
        self.assertEqual(self.probe.drain(3, 1500), "waiting 0")
        producer.commit_transaction(PATIENCE_S)
        self.check_all(3, 10, values)

    def test_several_partitions_are_read_at_their_own_pace(self):
        values = [[b"%d-%d " % (partition, number) + b"x" * 500 for number in range(4000)]
                  for partition in range(PARTITIONS)]
        for partition in range(PARTITIONS):
            self.write(partition, values[partition])
        for partition in range(PARTITIONS):
            self.assertEqual(self.probe.open(partition), "ok")
            self.assertEqual(self.probe.take(partition, 2), f"{partition}-0 {partition}-1")
        self.assertEqual(self.probe.take(0, 2), "0-2 0-3")
        self.assertEqual(self.probe.open(2), "ok")  # anew, and the others go on
        self.assertEqual(self.probe.stop(3), "ok")
        self.assertEqual(self.probe.open(3), "ok")
        for partition in range(PARTITIONS):
            self.check_all(partition, 4000, values[partition])

    def test_heads_are_deleted_also_under_a_reader(self):
        values = [b"%d " % number + b"x" * 1000 for number in range(20000)]
        self.write(0, values)
        other = self.new_probe()
        self.assertEqual(self.probe.open(0), "ok")
        self.assertEqual(self.probe.take(0, 3), "0 1 2")
        self.assertEqual(other.trim(0, 500), "ok")
        self.assertEqual(other.trim(0, 300), "ok")  # not further than it was
        self.wait_for_low(0, 500)
        self.assertEqual(other.trim(1, 7), "ok")  # more than there is: nothing comes of it
        self.assertEqual(other.trim(0, 19990), "ok")
        self.wait_for_low(0, 19990)
        # What was fetched before is read; then it goes on at what is left.
        end, count, first, last, _ = self.probe.drain(0, PATIENCE_S * 1000).split()
        self.assertEqual((end, first, last), ("20000", "0", "19999"))
        self.assertLess(int(count), 20000)
        self.assertEqual(self.probe.open(0), "ok")
        self.check_all(0, 20000, values[19990:])
        self.assertEqual(other.trim(0, 20000), "ok")
        self.wait_for_low(0, 20000)
        self.assertEqual(self.probe.open(0), "ok")
        self.assertEqual(self.probe.drain(0, PATIENCE_S * 1000).split()[:2], ["20000", "0"])

    def test_heads_are_deleted_when_a_broker_comes_back(self):
        self.write(2, [b"x "] * 10)
        self.assertEqual(self.probe.mark(2), "10")
        self.kafka.kill(1)
        try:
            self.assertEqual(self.probe.trim(2, 5), "ok")
            time.sleep(13)  # longer than one try
        finally:
            self.kafka.start(1)
        self.wait_for_low(2, 5)

    def test_closing_does_not_wait_for_a_broker_that_stands_still(self):
        self.write(0, [b"x "] * 10)
        self.assertEqual(self.probe.open(0), "ok")
        self.check_all(0, 10, [b"x "] * 10)
        self.kafka.freeze(1)
        try:
            self.assertEqual(self.probe.trim(0, 5), "ok")
            self.assertEqual(self.probe.open(0), "ok")
            time.sleep(0.5)
            self.assertLess(int(self.probe.close()), 30000)  # a request has a minute
        finally:
            self.kafka.thaw(1)


if __name__ == "__main__":
    if not PROBE or not pathlib.Path(PROBE).exists():
        sys.exit("NILAI_TEST_STATE_LOG_PROBE must name the program of state_log_probe.c")
    unittest.main()
