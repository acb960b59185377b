"""A few processes under load, and what can happen to them: the ground of the tests of faults.

Load comes live, from `nilai loadgen`, into one input topic: then the order of a partition's
events is that of their offsets, whenever who reads them, and `nilai replay` can say what must
come out. Whatever was done meanwhile, in the end everything is processed by those who are
there, without help; they end in order; and a reader with read_committed has seen each change
and each dead letter once.
"""

import pathlib
import signal
import subprocess
import time
import unittest

from kafka import client, test_exactly_once, test_run
from kafka.cluster import java
from kafka.test_exactly_once import SEED, SESSION_S
from kafka.test_run import PATIENCE_S, ask_to_end


class LiveScene(test_run.Scene):
    """A scene with one input topic, which may forget what the test has kept."""

    def __init__(self, bootstrap, name, **settings):
        super().__init__(bootstrap, name, topics=1, **settings)
        self.state = self.settings["state.topic"]
        self.kept = {}

    def create_outputs(self, partitions):
        """As the program would, but with more patience."""
        for topic in (*self.outputs.values(), self.dead_letter):
            client.create_topic(self.bootstrap, topic, partitions)
        client.create_topic(self.bootstrap, self.state, partitions, config=client.KEPT)

    def keep_input(self):
        """Remembers what is in the input now: it is about to be deleted."""
        for record in client.read_all(self.bootstrap, *self.inputs):
            self.kept[record.topic, record.partition, record.offset] = record

    def input_records(self, *topics):
        read = {(record.topic, record.partition, record.offset): record
                for record in super().input_records(*topics)}
        return [record for _, record in sorted((self.kept | read).items())]


class Faults(test_exactly_once.ExactlyOnce):
    """Scenes under live load; subclasses make the claims."""

    def setUp(self):
        super().setUp()
        print(f"seed {SEED}", flush=True)

    # --- The scene ---------------------------------------------------------------------------

    def nilai_bootstrap(self):
        """Where the processes under test find the brokers; the test itself goes straight."""
        return self.kafka.bootstrap

    def live_scene(self, name, partitions=8, config=None, **settings):
        """One input topic; everything is made before the first process comes."""
        scene = LiveScene(self.kafka.bootstrap, name,
                          **({"kafka__bootstrap__servers": self.nilai_bootstrap(),
                              "topics__replication": str(min(3, len(self.kafka.nodes)))}
                             | settings))
        client.create_topic(self.kafka.bootstrap, scene.inputs[0], partitions, config=config)
        if len(self.kafka.nodes) > 1:  # who stands still is taken for dead, and refuses topics
            scene.create_outputs(partitions)
        for node in self.kafka.nodes:  # one has heard of it; the others do so soon
            client.partition_count(f"127.0.0.1:{node.port}", scene.inputs[0])
        return scene

    # --- What happens ------------------------------------------------------------------------

    def restart(self, scene, name, **settings):
        self.kill(name)
        return self.launch(scene, name, **settings)

    def terminate(self, name):
        process = self.processes.pop(name)
        ask_to_end(process)
        self.assertEqual(process.wait(PATIENCE_S), 0, self.log_text())
        process.stdout.close()

    def freeze(self, name):
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name):
        self.processes[name].send_signal(signal.SIGCONT)

    def pause(self, least_s, most_s):
        time.sleep(self.random.uniform(least_s, most_s))

    def set_quota(self, bytes_per_s):
        """How much each client may produce a second; None: as much as it likes."""
        change = (["--add-config", f"producer_byte_rate={bytes_per_s}"] if bytes_per_s
                  else ["--delete-config", "producer_byte_rate"])
        done = subprocess.run(
            java(64) + ["kafka.admin.ConfigCommand", "--bootstrap-server", self.kafka.bootstrap,
                        "--alter", *change, "--entity-type", "clients", "--entity-default"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, done)

    # --- What must be ------------------------------------------------------------------------

    def check_alive(self):
        for name, process in self.processes.items():
            self.assertIsNone(process.poll(), f"{name} ended\n{self.log_text()}")

    def wait_for_everything(self, scene):
        """The processes that are there do all that is left."""
        end = self.ends(scene)
        most, deadline = 0, time.monotonic() + PATIENCE_S
        while (done := self.committed_sum(scene)) < end:
            self.check_alive()
            if done > most:
                most, deadline = done, time.monotonic() + PATIENCE_S
            if time.monotonic() > deadline:
                self.fail(f"{done} of {end} events done, and no more for {PATIENCE_S} s\n"
                          + self.log_text())
            time.sleep(0.1)

    def settle(self, scene):
        """Everything is processed, everybody ends in order, and all that is written can be read."""
        self.wait_for_everything(scene)
        for name in list(self.processes):
            self.terminate(name)
        client.wait_until_decided(self.kafka.bootstrap, *scene.outputs.values(),
                                  scene.dead_letter)

    def check_all_once(self, scene, repeated=False):
        """Of every customer the changes of replay, in their order, each once."""
        dead = scene.dead()
        places = self.check_dead_letters(scene, dead)
        if not repeated:
            self.assertEqual(len(places), len(dead), f"a dead letter came twice, seed {SEED}")
        try:
            applied = self.check_published(scene, places, repeated=repeated)
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}: {error}\n{self.log_text()}") from error
        self.assertEqual(applied + len(places), self.ends(scene))
        self.check_replay_differences()
        return applied

    def check_replay_differences(self):
        """A restore that contradicts what was published says so in the log."""
        for word in self.log_text().replace(",", " ").replace(";", " ").split("differences ")[1:]:
            self.assertEqual(word.split()[0], "0", self.log_text())


# What the bases claim has been checked where they are; whoever asks for a class here wants its own.
for _name in unittest.defaultTestLoader.getTestCaseNames(test_exactly_once.ExactlyOnce):
    setattr(Faults, _name, None)


def peak_rss_mib(process):
    """The most memory that the process had at any time."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ValueError("no VmHWM")


__all__ = ["Faults", "SEED", "SESSION_S", "peak_rss_mib"]
