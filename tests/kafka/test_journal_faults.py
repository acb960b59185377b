"""State comes back from its journal, or somebody is told why it cannot; nothing is guessed.

Goal: with a journal a start needs the input from the floor on, not all of it; what is missing,
damaged, foreign or set by hand is refused with a text that says where and what to do, exit code
78, and nothing is written; who was erased leaves the brokers' files.
Method: live scenes (faults.py) over a real Kafka whose files can be looked into; between two
starts something is deleted, damaged or moved; where it goes on, the comparison with `nilai
replay` of all that was ever there.
"""

import contextlib
import secrets
import time
import unittest

from kafka import client
from kafka.client import Message
from kafka.cluster import Cluster
from kafka.faults import Faults
from kafka.test_run import PATIENCE_S, pack

RATE = 3000
PARTITIONS = 4
FAST = {"state__image_ratio": "2", "state__image_round_max": "1s"}     # the floor follows soon
NEVER = {"state__image_ratio": "0.01", "state__image_round_max": "30d"}  # the floor stays behind
SMALL_SEGMENTS = client.KEPT | {"segment.ms": "1000", "segment.bytes": str(1 << 21),
                                "file.delete.delay.ms": "500"}
DAY_MS = 86400000


class Journal(Faults):
    @classmethod
    def setUpClass(cls):
        cls.kafka = cls.enterClassContext(Cluster(properties={
            "log.retention.check.interval.ms": 500, "log.initial.task.delay.ms": 500}))

    # --- Tools -------------------------------------------------------------------------------

    def work(self, scene, seconds=4, meanwhile=lambda: None, **settings):
        """Some live work by two processes."""
        load = self.start_load(scene, RATE)
        for name in ("one", "two"):
            self.launch(scene, name, **settings)
        self.wait_for_progress(scene)
        self.pause(seconds, seconds + 2)
        meanwhile()
        self.end_load(load)
        self.wait_for_everything(scene)

    def pass_floor(self, scene):
        """Waits under load until the floor is beyond what is done now, and returns where that is:
        whatever the journals held then has been deleted, as what no restore needs."""
        done = client.committed(self.kafka.bootstrap, scene.group, scene.inputs[0])
        ends = client.end_offsets(self.kafka.bootstrap, scene.state)
        self.wait_until(lambda: all(low >= end for (low, _), end in zip(
            client.watermarks(self.kafka.bootstrap, scene.state), ends)),
            f"the journals are not deleted up to {ends}")
        return [offset or 0 for offset in done]

    def restart_and_restore(self, scene, name, **settings):
        before = self.log_text().count("differences")
        self.restart(scene, name, **settings)
        self.wait_until(lambda: self.log_text().count("differences") > before,
                        "nothing was restored")

    def settle_all(self, scene):
        self.settle(scene)
        client.wait_until_decided(self.kafka.bootstrap, scene.state)

    def outputs(self, scene):
        return [client.watermarks(self.kafka.bootstrap, topic, "read_uncommitted")
                for topic in (*scene.outputs.values(), scene.dead_letter)]

    def check_refused(self, scene, *words, **settings):
        """A start ends with 78, says these words, and writes nothing."""
        before = self.outputs(scene), client.end_offsets(self.kafka.bootstrap, scene.state)
        process = self.launch(scene, "refused", **settings)
        code = process.wait(PATIENCE_S)
        self.processes.pop("refused").stdout.close()
        process.stderr.seek(0)
        text = process.stderr.read().decode()
        self.assertEqual(code, 78, self.log_text())
        for word in words:
            self.assertIn(str(word), text)
        self.assertEqual((self.outputs(scene),
                          client.end_offsets(self.kafka.bootstrap, scene.state)), before,
                         "something was written\n" + text)

    def check_restored_without_differences(self, least):
        text = self.log_text()
        self.assertGreaterEqual(text.count("differences 0"), least, text)
        self.check_replay_differences()

    # --- The input goes -----------------------------------------------------------------------

    def test_input_before_the_floor_is_not_needed(self):
        scene = self.live_scene("floor", PARTITIONS)
        unneeded = []
        self.work(scene, meanwhile=lambda: unneeded.extend(self.pass_floor(scene)), **FAST)
        for name in sorted(self.processes):  # one after the other: restoring is exercised, too
            self.restart_and_restore(scene, name, **FAST)
        self.settle_all(scene)
        scene.keep_input()
        self.assertGreater(min(unneeded), 0)
        client.delete_records(self.kafka.bootstrap, scene.inputs[0], unneeded)
        self.work(scene, **FAST)
        self.settle_all(scene)
        self.check_all_once(scene)
        self.check_restored_without_differences(PARTITIONS)

    def test_input_that_is_gone_beyond_the_floor_is_an_error(self):
        scene = self.live_scene("beyond", PARTITIONS)
        self.work(scene, **NEVER)
        self.settle_all(scene)
        ends = client.end_offsets(self.kafka.bootstrap, scene.inputs[0])
        client.delete_records(self.kafka.bootstrap, scene.inputs[0], ends)
        self.check_refused(scene, scene.inputs[0], "partition")

    # --- The journal --------------------------------------------------------------------------

    def test_a_restart_differs_in_nothing_from_what_was_published(self):
        scene = self.live_scene("again", PARTITIONS)
        for settings in (FAST, NEVER, {}):
            self.work(scene, seconds=2, **settings)
            self.settle_all(scene)
        self.check_all_once(scene)
        self.check_restored_without_differences(2 * PARTITIONS)

    def test_a_journal_that_was_made_anew_is_built_from_all_the_input(self):
        scene = self.live_scene("anew", PARTITIONS)
        self.work(scene, seconds=2, **FAST)
        self.settle_all(scene)
        client.delete_topic(self.kafka.bootstrap, scene.state)
        self.work(scene, seconds=2, **FAST)
        self.settle_all(scene)
        self.check_all_once(scene)

    def test_a_journal_without_its_head_is_refused(self):
        scene = self.live_scene("headless", PARTITIONS)
        self.work(scene, seconds=2, **NEVER)
        self.settle_all(scene)
        ends = client.end_offsets(self.kafka.bootstrap, scene.state)
        cut = [(low + end) // 2 for (low, _), end in zip(
            client.watermarks(self.kafka.bootstrap, scene.state), ends)]
        client.delete_records(self.kafka.bootstrap, scene.state, cut)
        self.check_refused(scene, scene.state, "partition")

    def last_record(self, scene, partition=0):
        return max((record for record in client.read_all(self.kafka.bootstrap, scene.state)
                    if record.partition == partition), key=lambda record: record.offset).value

    def spoiled(self, name, spoil):
        """A scene whose journal of partition 0 ends with a record that is not what it was."""
        scene = self.live_scene(name, PARTITIONS)
        self.work(scene, seconds=1, **FAST)
        self.settle_all(scene)
        client.produce(self.kafka.bootstrap, scene.state,
                       [Message(spoil(self.last_record(scene)), None, 0)])
        return scene

    def test_a_damaged_record_is_refused(self):
        def flip(record):
            place = self.random.randrange(8, len(record))
            return record[:place] + bytes([record[place] ^ 16]) + record[place + 1:]
        scene = self.spoiled("damaged", flip)
        self.check_refused(scene, f"{scene.state}, partition 0, offset", "damaged")

    def test_what_is_not_a_journal_is_refused(self):
        scene = self.spoiled("garbage", lambda _record: self.random.randbytes(500))
        self.check_refused(scene, f"{scene.state}, partition 0, offset")

    def test_a_newer_journal_is_refused(self):
        scene = self.spoiled("newer", lambda record: record[:3] + b"\x63" + record[4:])
        self.check_refused(scene, f"{scene.state}, partition 0, offset", "newer version")

    def test_another_groups_journal_is_refused(self):
        scene = self.live_scene("others", PARTITIONS)
        self.work(scene, seconds=1, **FAST)
        self.settle_all(scene)
        self.check_refused(scene, scene.state, group="someone-else")

    def test_offsets_set_by_hand_are_refused_and_set_back_go_on(self):
        scene = self.live_scene("byhand", PARTITIONS)
        self.work(scene, seconds=2, **FAST)
        self.settle_all(scene)
        topic = scene.inputs[0]
        ends = client.end_offsets(self.kafka.bootstrap, topic)
        client.produce(self.kafka.bootstrap, topic,
                       [record_message(record) for record in client.read_all(
                           self.kafka.bootstrap, topic)[:400]])
        client.set_offsets(self.kafka.bootstrap, scene.group, topic,
                           client.end_offsets(self.kafka.bootstrap, topic))  # skips the new ones
        self.check_refused(scene, "committed offsets", scene.state)
        client.set_offsets(self.kafka.bootstrap, scene.group, topic, [end // 2 for end in ends])
        self.check_refused(scene, "committed offsets", scene.state)

    # --- Who was erased -----------------------------------------------------------------------

    def files_hold(self, topic, text):
        """How often the brokers' files of the topic hold these bytes; those may go meanwhile."""
        count = 0
        for path in self.kafka.nodes[0].directory.glob(f"data/{topic}-*/*.log"):
            with contextlib.suppress(FileNotFoundError):
                count += path.read_bytes().count(text.encode())
        return count

    def test_an_erased_customer_leaves_the_brokers_files(self):
        scene = self.live_scene("forgotten", 1)
        client.create_topic(self.kafka.bootstrap, scene.state, 1, config=SMALL_SEGMENTS)
        person = secrets.token_hex(30)
        begin = 1262304000000  # the load's first day
        load = self.start_load(scene, RATE)
        client.produce(self.kafka.bootstrap, scene.inputs[0], [Message(pack(
            {"id": f"p{day}", "type": "purchase", "customer": person, "ts": begin + day * DAY_MS,
             "amount": 5}), person.encode()) for day in range(5)])
        self.launch(scene, "one", **FAST)
        self.wait_until(lambda: self.files_hold(scene.state, person) > 1,
                        "the customer never came into the journal")
        client.produce(self.kafka.bootstrap, scene.inputs[0], [Message(pack(
            {"id": "e", "type": "erase", "customer": person, "ts": begin + 6 * DAY_MS}),
            person.encode())])
        self.wait_until(lambda: self.files_hold(scene.state, person) == 0,
                        "the erased customer stays in the journal")
        self.end_load(load)
        self.settle_all(scene)
        self.assertEqual(self.files_hold(scene.state, person), 0)
        self.check_all_once(scene)

    def wait_until(self, holds, otherwise):
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            self.check_alive()
            if time.monotonic() > deadline:
                self.fail(otherwise + "\n" + self.log_text())
            time.sleep(0.2)


def record_message(record):
    return Message(record.value, record.key, record.partition)


if __name__ == "__main__":
    unittest.main(verbosity=2)
