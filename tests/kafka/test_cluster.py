"""The cluster of the tests is a real one: what it acknowledged it keeps, what it aborted it hides.

Goal: a failure of another Kafka test is the failure of Nilai, not of its tools.
Method: each tool once, against what it should have done.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

from confluent_kafka import KafkaException

from kafka import client
from kafka.client import Message
from kafka.cluster import PATIENCE_S, Cluster, ClusterError, listens

CLUSTER_PY = pathlib.Path(__file__).with_name("cluster.py")


def batch(count, partition=0):
    return [Message(b"value-%d" % n, b"key-%d" % n, partition, (("n", b"%d" % n),), 1000 + n)
            for n in range(count)]


def values(records):
    return [record.value for record in records]


class OneNode(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = cls.enterClassContext(Cluster(sasl=("ana", "secret")))

    def test_what_goes_in_comes_out_whole_and_in_order(self):
        client.create_topic(self.kafka.bootstrap, "whole", partitions=2)
        client.produce(self.kafka.bootstrap, "whole", batch(1000, 1) + [Message(None, b"gone", 0)])
        records = client.read_all(self.kafka.bootstrap, "whole")
        second = [record for record in records if record.partition == 1]
        self.assertEqual([Message(r.value, r.key, r.partition, r.headers, r.timestamp_ms)
                          for r in second], batch(1000, 1))
        self.assertEqual([r.offset for r in second], list(range(1000)))
        self.assertEqual([(r.key, r.value) for r in records if r.partition == 0],
                         [(b"gone", None)])

    def test_what_was_acknowledged_survives_kill_9(self):
        client.create_topic(self.kafka.bootstrap, "kept")
        client.produce(self.kafka.bootstrap, "kept", batch(500))
        self.kafka.kill(1)
        self.assertFalse(listens(self.kafka.nodes[0].port))
        self.kafka.start(1)
        self.assertEqual(values(client.read_all(self.kafka.bootstrap, "kept")),
                         values(batch(500)))

    def test_an_aborted_transaction_is_not_seen(self):
        client.create_topic(self.kafka.bootstrap, "atomic")
        producer = client.new_producer(self.kafka.bootstrap, {"transactional.id": "t"})
        producer.init_transactions(PATIENCE_S)
        for value, end in ((b"kept", producer.commit_transaction),
                           (b"dropped", producer.abort_transaction)):
            producer.begin_transaction()
            client.send(producer, "atomic", [Message(value)])
            client.finish(producer)
            end(PATIENCE_S)
        read = lambda level: values(client.read_all(self.kafka.bootstrap, "atomic", isolation=level))
        self.assertEqual(read("read_committed"), [b"kept"])
        self.assertEqual(read("read_uncommitted"), [b"kept", b"dropped"])

    def test_an_open_transaction_ends_what_is_read(self):
        client.create_topic(self.kafka.bootstrap, "open")
        producer = client.new_producer(self.kafka.bootstrap, {"transactional.id": "o"})
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()
        client.send(producer, "open", [Message(b"undecided")])
        client.finish(producer)
        self.assertEqual(client.read_all(self.kafka.bootstrap, "open"), [])
        producer.commit_transaction(PATIENCE_S)
        self.assertEqual(values(client.read_all(self.kafka.bootstrap, "open")), [b"undecided"])

    def test_committed_offsets_are_per_group(self):
        client.create_topic(self.kafka.bootstrap, "offsets", partitions=2)
        producer = client.new_producer(self.kafka.bootstrap, {"transactional.id": "f"})
        producer.init_transactions(PATIENCE_S)
        reader = client.Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "g"})
        producer.begin_transaction()
        producer.send_offsets_to_transaction([client.TopicPartition("offsets", 1, 7)],
                                             reader.consumer_group_metadata(), PATIENCE_S)
        producer.commit_transaction(PATIENCE_S)
        reader.close()
        self.assertEqual(client.committed(self.kafka.bootstrap, "g", "offsets"), [None, 7])
        self.assertEqual(client.committed(self.kafka.bootstrap, "other", "offsets"), [None, None])

    def test_a_frozen_node_listens_and_says_nothing(self):
        self.kafka.freeze(1)
        try:
            self.assertTrue(listens(self.kafka.nodes[0].port))
            with socket.create_connection(("127.0.0.1", self.kafka.nodes[0].port),
                                          PATIENCE_S) as probe:
                # ApiVersions v0 with correlation id 1 and no client id.
                probe.sendall(bytes.fromhex("0000000a" "0012" "0000" "00000001" "ffff"))
                probe.settimeout(1)
                with self.assertRaises(TimeoutError):
                    probe.recv(1)
        finally:
            self.kafka.thaw(1)
        self.kafka.wait_ready()

    def test_the_second_listener_asks_for_a_password(self):
        def topics(password, timeout_s):
            admin = client.AdminClient({
                "bootstrap.servers": self.kafka.sasl_bootstrap, "sasl.mechanisms": "PLAIN",
                "security.protocol": "SASL_PLAINTEXT", "sasl.username": "ana",
                "sasl.password": password, "log_level": 0})
            return admin.list_topics(timeout=timeout_s).topics
        client.create_topic(self.kafka.bootstrap, "guarded")
        self.assertIn("guarded", topics("secret", PATIENCE_S))
        with self.assertRaises(KafkaException):
            topics("wrong", 5)


class ThreeNodes(unittest.TestCase):
    def test_the_cluster_works_on_with_two_of_three(self):
        with Cluster(nodes=3) as kafka:
            client.create_topic(kafka.bootstrap, "replicated", partitions=3)
            client.produce(kafka.bootstrap, "replicated", batch(100))
            kafka.kill(2)
            client.produce(kafka.bootstrap, "replicated", batch(100))
            kafka.start(2)
            kafka.stop(1)
            self.assertEqual(values(client.read_all(kafka.bootstrap, "replicated")),
                             values(batch(100) * 2))


class Lifetime(unittest.TestCase):
    def test_a_node_that_cannot_start_is_reported_with_its_log(self):
        with self.assertRaisesRegex(ClusterError, "num.io.threads"):
            with Cluster(properties={"num.io.threads": "many"}):
                self.fail("started with a bad property")

    def test_the_command_line_passes_the_address_and_the_exit_code(self):
        script = ("import os, sys; from confluent_kafka.admin import AdminClient;"
                  "a = os.environ['NILAI_KAFKA_BOOTSTRAP_SERVERS'];"
                  "m = AdminClient({'bootstrap.servers': a}).list_topics(timeout=100);"
                  "sys.exit(40 + len(m.brokers))")
        ended = subprocess.run([sys.executable, CLUSTER_PY, "run", "--",
                                sys.executable, "-c", script], timeout=2 * PATIENCE_S)
        self.assertEqual(ended.returncode, 41)

    def test_nothing_is_left_of_an_owner_that_was_killed(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            with self.subTest(how.name):
                script = ("import time; from kafka.cluster import Cluster\n"
                          "with Cluster() as k:\n"
                          "    print(k.directory, k.nodes[0].process.pid, flush=True)\n"
                          "    time.sleep(600)\n")
                owner = subprocess.Popen([sys.executable, "-c", script], text=True,
                                         stdout=subprocess.PIPE)
                directory, pid = owner.stdout.readline().split()
                owner.send_signal(how)
                owner.wait(PATIENCE_S)
                owner.stdout.close()
                for path in (f"/proc/{pid}", directory):
                    client.wait_until(lambda: not os.path.exists(path), f"{path} is still there")


if __name__ == "__main__":
    unittest.main(verbosity=2)
