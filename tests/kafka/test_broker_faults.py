"""Brokers die, come back and run out of disk under load, and nobody who reads can tell.

Goal: while enough brokers are left, or as soon as they are back, every change comes out exactly
once, in order, none missing; no process of Nilai ends, and none needs help.
Method: live load into real brokers (faults.py); kill -9 of whoever leads or coordinates what
matters most; a disk that is full for a while; then the comparison with `nilai replay`.
"""

import os
import pathlib
import tempfile
import time
import unittest

from kafka import client
from kafka.cluster import Cluster
from kafka.faults import Faults
from kafka.test_run import PATIENCE_S

RATE = 1000  # three brokers, and who works with them, share what there is of cores


class Brokers(Faults):
    """Three brokers, of which one at a time dies."""

    @classmethod
    def setUpClass(cls):
        cls.kafka = cls.enterClassContext(Cluster(nodes=3))

    def leader(self, topic, partition):
        return client.leaders(self.kafka.bootstrap, topic)[partition]

    def coordinator(self, transactional_id):
        """The broker that keeps the transactions of this id."""
        return self.leader("__transaction_state", java_hash(transactional_id) % 4)

    def group_coordinator(self, group):
        return self.leader("__consumer_offsets", java_hash(group) % 4)

    def test_brokers_die_and_come_back_one_after_the_other(self):
        scene = self.live_scene("brokers")
        self.kill_brokers(scene, [lambda: self.coordinator("brokers-one-0"),
                                  lambda: self.leader(scene.inputs[0], 0),
                                  lambda: self.group_coordinator("brokers"),
                                  lambda: self.leader(scene.state, self.random.randrange(8))])
        self.check_all_once(scene)

    def test_brokers_die_and_none_is_missing_at_least_once(self):
        scene = self.live_scene("least", delivery="at-least-once")
        outputs = list(scene.outputs.values())
        self.kill_brokers(scene, [lambda: self.leader(outputs[0], self.random.randrange(8)),
                                  lambda: self.leader(outputs[1], self.random.randrange(8)),
                                  lambda: self.group_coordinator("least")])
        self.check_all_once(scene, repeated=True)

    def kill_brokers(self, scene, victims):
        load = self.start_load(scene, RATE)
        for name in ("one", "two"):
            self.launch(scene, name)
        self.wait_for_progress(scene)
        self.random.shuffle(victims)
        for victim in victims:
            number = victim()
            self.kafka.kill(number)
            self.pause(1, 4)
            self.check_alive()
            self.kafka.start(number)
            self.wait_for_progress(scene)
        self.end_load(load)
        self.settle(scene)


def java_hash(text):
    """String.hashCode() without its sign, as Kafka's Utils.abs has it."""
    value = 0
    for letter in text:
        value = (31 * value + ord(letter)) & 0xffffffff
    return value & 0x7fffffff


class FullDisk(Faults):
    """The broker's files are on a disk that is full for a while."""

    @classmethod
    def setUpClass(cls):
        cls.disk = pathlib.Path(cls.enterClassContext(
            tempfile.TemporaryDirectory(prefix="nilai-disk-")))
        cls.kafka = cls.enterClassContext(Cluster(
            properties={"log.dirs": cls.disk / "data"},
            environment={"LD_PRELOAD": os.environ["NILAI_TEST_FULL_DISK"],
                         "NILAI_TEST_DISK": str(cls.disk)}))

    def test_a_full_disk_is_survived(self):
        scene = self.live_scene("full")
        load = self.start_load(scene, RATE)
        self.launch(scene, "one")
        self.wait_for_progress(scene)
        full = self.disk / "full"
        full.touch()
        self.wait_for_the_end_of(self.kafka.nodes[0])
        self.pause(3, 5)
        self.check_alive()
        full.unlink()
        self.kafka.start(1)
        self.wait_for_progress(scene)
        self.end_load(load)
        self.settle(scene)
        self.check_all_once(scene)

    def wait_for_the_end_of(self, node):
        """A broker whose only disk is full ends itself."""
        deadline = time.monotonic() + PATIENCE_S
        while node.running:
            self.assertLess(time.monotonic(), deadline, "the broker did not mind a full disk")
            time.sleep(0.2)
        self.assertIn("No space left on device", node.tail(1000))


if __name__ == "__main__":
    unittest.main(verbosity=2)
