"""Whatever dies, and whenever: each change is seen once, in order, and none is missing.

Goal: a reader with read_committed sees what `nilai replay` says of the same events, nothing
twice and no dead letter twice, although processes are killed, stand still and come back.
Method: two processes over a real Kafka; SIGKILL at random moments with a restart each; one
process stands still for longer than its session, so that the other takes over, and comes back
as a member of a group that has moved on. All events are there before the start and no topic is
passed over, so that the order in which they are merged is the one defined.
"""

import os
import random
import signal
import subprocess
import time
import unittest

from confluent_kafka import KafkaException

from kafka import test_run
from kafka.test_run import PATIENCE_S, end, quiet_environment

SEED = int(os.environ.get("NILAI_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
EVENTS = 240000
BOTH, EITHER = 3, 2 # rounds in which both processes are killed, and one of them
SESSION_S = 6
LIVES = {
    "kafka__session__timeout__ms": str(SESSION_S * 1000),
    "kafka__heartbeat__interval__ms": "1000",
    "kafka__transaction__timeout__ms": "8000",
    "merge__max_idle": "1h",
    "time__follow_wall_clock": "false",
    "commit__interval": "200ms",
    "delivery": "exactly-once",
}
# The library fetches so few messages and then rests for up to a second: the work must last until
# all that is to happen has happened.
SLOW = {"kafka__queued__min__messages": "60", "kafka__fetch__message__max__bytes": "4096"}


class ExactlyOnce(test_run.Run):
    """The scenes of test_run, with other claims."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.processes = {}
        self.logs = []

    def tearDown(self):
        for process in self.processes.values():
            end(process)

    def launch(self, scene, name, *options, **settings):
        """Standard error goes to a file: nobody reads a pipe while others are being killed."""
        log = open(os.path.join(self.directory, f"{name}-{len(self.logs)}.log"), "a+b")
        self.logs.append(log)
        self.addCleanup(log.close)
        self.processes[name] = subprocess.Popen(
            [test_run.BINARY, "run", *scene.arguments(instance=name, **(LIVES | settings)),
             *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            env=quiet_environment())
        self.processes[name].stderr = log
        return self.processes[name]

    def kill(self, name):
        process = self.processes.pop(name)
        self.assertIsNone(process.poll(), self.log_text())
        process.kill()
        process.wait()
        process.stdout.close()

    def log_text(self):
        text = f"seed {SEED}\n"
        for log in self.logs:
            log.seek(0)
            text += f"--- {log.name}\n" + log.read().decode(errors="replace")
        return text

    def wait_for_progress(self, scene, above=None):
        """Until somebody has committed; returns how much is committed."""
        before = self.committed_sum(scene) if above is None else above
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done = self.committed_sum(scene)
            if done > before:
                return done
            time.sleep(0.05)
        self.fail(f"nobody commits above {before}\n" + self.log_text())

    def committed_sum(self, scene):
        """A group has no coordinator at first, and no stable offsets amid a transaction."""
        for _ in range(100):
            try:
                return super().committed_sum(scene)
            except KafkaException:
                time.sleep(0.1)
        return super().committed_sum(scene)

    def finish(self, scene):
        """All live processes end in order; then one, alone, does what is left."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            self.assertEqual(process.wait(60), 0, self.log_text())
        process = self.launch(scene, "last", "--exit-at-end")
        self.assertEqual(process.wait(PATIENCE_S), 0, self.log_text())

    def check_once(self, scene):
        """Of every customer the changes of replay, in their order, each once."""
        dead = scene.dead()
        places = self.check_dead_letters(scene, dead)
        self.assertEqual(len(places), len(dead), f"a dead letter came twice, seed {SEED}")
        try:
            applied = self.check_published(scene, places)
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}: {error}\n{self.log_text()}") from error
        self.assertEqual(applied + len(places), EVENTS)
        self.check_committed_to_the_end(scene)

    def fill(self, scene, partitions):
        scene.create_inputs(partitions)
        self.check_ended(scene.run(
            "--events", str(EVENTS), "--customers", "9000", "--seed", str(SEED % 1000 + 1),
            "--late", "0.02", "--duplicate", "0.02", "--bad", "0.02", command="loadgen",
            kafka__batch__num__messages="30"))

    # --- Claims -----------------------------------------------------------------------------

    def test_kills_and_a_zombie_leave_each_change_once(self):
        print(f"seed {SEED}", flush=True)
        scene = self.scene("once")
        self.fill(scene, self.random.choice((4, 6, 8)))
        for name in ("one", "two"):
            self.launch(scene, name, **SLOW)
        done = self.wait_for_progress(scene, above=0)
        # Somebody has just committed: whoever it was dies amid the next output. The last to be
        # killed is not the one that will stand still, so that this one is past rebuilding its
        # state, and has a transaction open.
        for names in (*[("one", "two")] * BOTH, *[self.random.choice((("one",), ("two",)))] * EITHER,
                      ("two",)):
            time.sleep(self.random.random() * 0.8)
            for name in names:
                self.kill(name)
            for name in names:
                self.launch(scene, name, **SLOW)
            done = self.wait_for_progress(scene, above=done)

        left = EVENTS - self.committed_sum(scene)
        # One stands still, mid-work if there is work; the other takes over and goes on.
        zombie = self.processes["one"]
        zombie.send_signal(signal.SIGSTOP)
        time.sleep(SESSION_S + 3)
        zombie.send_signal(signal.SIGCONT)
        time.sleep(2)
        taken_over = left - EVENTS + self.committed_sum(scene)
        self.finish(scene)
        self.check_once(scene)
        aborted = sum(map(self.log_text().count, ("is aborted", "taken back")))
        print(f"{left} events left when one stood still, {taken_over} done until it was back; "
              f"{aborted} transactions taken back", flush=True)
        self.assertGreater(taken_over, 0, "the other had nothing to do meanwhile")


def load_tests(loader, _tests, _pattern):
    """Only the claims of this file: those of test_run have been made there."""
    return unittest.TestSuite([ExactlyOnce(name) for name in
                               loader.getTestCaseNames(ExactlyOnce)
                               if name in vars(ExactlyOnce)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
