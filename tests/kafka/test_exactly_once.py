"""Whatever dies, and whenever: each change is seen once, in order, and none is missing.

Goal: a reader with read_committed sees what `nilai replay` says of the same events, nothing
twice and no dead letter twice, although processes are killed, stand still and come back.
Method: two processes over a real Kafka; SIGKILL at random moments with a restart each; one
process stands still for longer than its session, so that the other takes over, and comes back
as a member of a group that has moved on. The order in which events are taken must not depend on
when they are: load comes live into one topic, for as long as all this takes, or is there before
the start, in three.
"""

import datetime
import os
import random
import signal
import subprocess
import time
import unittest

from kafka import client, test_run
from kafka.test_run import PATIENCE_S, PATIENT, ask_to_end, end, quiet_environment

SEED = int(os.environ.get("NILAI_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
RATE = 4000
LOAD_S = 1200    # for so long a load has events; it is ended by us long before
LOAD_DAYS = 4000 # what they tell of
NEXT_DAYS = 400  # the next load of a scene begins so much later
BOTH, EITHER = 3, 2 # rounds in which both processes are killed, and one of them
SESSION_S = 6
LIVES = {
    "kafka__session__timeout__ms": str(SESSION_S * 1000),
    "kafka__heartbeat__interval__ms": "1000",
    "kafka__transaction__timeout__ms": "8000",
    "merge__max_idle": "1h",
    "time__follow_wall_clock": "false",
    "commit__interval": "200ms",
}


class ExactlyOnce(test_run.Run):
    """The scenes of test_run, with other claims."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.processes = {}
        self.loads = []  # those that run
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
             *PATIENT, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            env=quiet_environment())
        self.processes[name].stderr = log
        return self.processes[name]

    def kill(self, name):
        self.assertIsNone(self.processes[name].poll(), self.log_text())
        self.kill_if_alive(name)

    def kill_if_alive(self, name):
        process = self.processes.pop(name)
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
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            done = self.committed_sum(scene)
            if done > before:
                return done
            for load in self.loads:
                self.assertIsNone(load.poll(), "the load has ended by itself\n" + self.log_text())
            time.sleep(0.05)
        self.fail(f"nobody commits above {before}\n" + self.log_text())

    def wait_for_takeover(self, scene):
        """Until more of every partition is committed: those who are there have all of them."""
        topic, = scene.inputs
        before = client.committed(self.kafka.bootstrap, scene.group, topic)
        client.wait_until(
            lambda: all((offset or 0) > (was or 0) for offset, was in
                        zip(client.committed(self.kafka.bootstrap, scene.group, topic), before)),
            f"nobody goes on in some of the partitions, once at {before}")

    def finish(self, scene):
        """All live processes end in order; then one, alone, does what is left."""
        for process in self.processes.values():
            ask_to_end(process)
        for process in self.processes.values():
            self.assertEqual(process.wait(PATIENCE_S), 0, self.log_text())
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
        self.assertEqual(applied + len(places), self.ends(scene))
        self.check_committed_to_the_end(scene)

    def start_load(self, scene, rate, *options, customers=60000):
        """Live, until it is ended. Goes straight to the brokers: what it sends is sent once, in
        order."""
        load = self.launch_load(scene, rate, rate * LOAD_S, customers, LOAD_DAYS, *options)
        self.loads.append(load)
        return load

    def launch_load(self, scene, rate, events, customers, days, *options):
        begin = datetime.date(2010, 1, 1) + datetime.timedelta(days=NEXT_DAYS * scene.loads)
        scene.loads += 1
        log = open(os.path.join(self.directory, f"load-{len(self.logs)}.log"), "a+b")
        self.logs.append(log)
        self.addCleanup(log.close)
        arguments = scene.arguments(kafka__bootstrap__servers=self.kafka.bootstrap)
        load = subprocess.Popen(
            [test_run.BINARY, "loadgen", *arguments, "--rate", str(rate), "--events", str(events),
             "--customers", str(customers), "--seed", str(SEED % 1000 + scene.loads),
             "--from", str(begin), "--span", f"{days}d",
             "--late", "0.02", "--duplicate", "0.02", "--bad", "0.02", "--erase", "0.0005",
             *PATIENT, *options],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=quiet_environment())
        self.addCleanup(lambda: (load.kill(), load.wait()))
        return load

    def fill_live(self, scene, events, customers=6000):
        """All the load at once, before anybody reads it."""
        load = self.launch_load(scene, 1e9, events, customers, NEXT_DAYS)
        self.assertEqual(load.wait(PATIENCE_S), 0, self.log_text())

    def end_load(self, load):
        self.loads.remove(load)
        ask_to_end(load)
        self.assertEqual(load.wait(PATIENCE_S), 0, self.log_text())

    def ends(self, scene):
        """How much there is in the input."""
        return sum(sum(client.end_offsets(self.kafka.bootstrap, topic)) for topic in scene.inputs)

    def taken_back(self):
        return sum(map(self.log_text().count, ("is aborted", "taken back")))

    # --- Claims -----------------------------------------------------------------------------

    def test_kills_and_a_zombie_leave_each_change_once(self):
        print(f"seed {SEED}", flush=True)
        scene = self.scene("once", topics=1)
        scene.create_inputs(self.random.choice((4, 6, 8)))
        load = self.start_load(scene, RATE, customers=9000)
        for name in ("one", "two"):
            self.launch(scene, name)
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
                self.launch(scene, name)
            done = self.wait_for_progress(scene, above=done)

        # One stands still, mid-work; the other takes over and goes on.
        zombie = self.processes["one"]
        zombie.send_signal(signal.SIGSTOP)
        time.sleep(SESSION_S + 3)
        self.wait_for_takeover(scene)
        zombie.send_signal(signal.SIGCONT)
        time.sleep(2)
        self.end_load(load)
        self.finish(scene)
        self.check_once(scene)
        print(f"{self.taken_back()} transactions taken back", flush=True)

    def test_kills_amid_three_topics_leave_each_change_once(self):
        print(f"seed {SEED}", flush=True)
        scene = self.scene("three")
        scene.create_inputs(self.random.choice((4, 6, 8)))
        self.fill_live(scene, 150000)
        for _ in range(3):  # the first is always amid work; how many more are is a matter of speed
            process = self.launch(scene, "one", "--exit-at-end")
            self.wait_for_output(scene, process)
            time.sleep(self.random.random() * 0.4)
            self.kill_if_alive("one")
        self.finish(scene)
        self.check_once(scene)


def load_tests(loader, _tests, _pattern):
    """Only the claims of this file: those of test_run have been made there."""
    return unittest.TestSuite([ExactlyOnce(name) for name in
                               loader.getTestCaseNames(ExactlyOnce)
                               if name in vars(ExactlyOnce)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
