"""Connections and processes fail under load, and nobody who reads can tell.

Goal: each fault of this file leaves each change exactly once, in order, none missing; whoever
was not killed recovers by itself and within bounded memory; what cannot go on says why.
Method: live load into a real Kafka (faults.py), one kind of fault again and again at random
moments, then the comparison with `nilai replay`.
"""

import time
import unittest

from kafka import client
from kafka.faults import Faults, SESSION_S, peak_rss_mib
from kafka.proxy import Api, ProxiedCluster
from kafka.test_run import PATIENCE_S

COMMITS = frozenset({Api.ADD_PARTITIONS_TO_TXN, Api.ADD_OFFSETS_TO_TXN, Api.TXN_OFFSET_COMMIT})
RATE = 3000
RSS_MAX_MIB = 400
TRANSACTION_S = 8  # as test_exactly_once sets it


class Network(Faults):
    """What stands between the processes and their broker is the trouble."""

    @classmethod
    def setUpClass(cls):
        cls.kafka = cls.enterClassContext(ProxiedCluster())
        cls.proxy = cls.kafka.proxies[0]

    def setUp(self):
        super().setUp()
        self.proxy.mend()

    def nilai_bootstrap(self):
        return self.kafka.proxied_bootstrap

    def test_commits_whose_answer_is_lost_hold_or_not_but_never_twice(self):
        scene = self.live_scene("answers")
        load = self.start_load(scene, RATE)
        for name in ("one", "two"):
            self.launch(scene, name)
        self.wait_for_progress(scene)
        before = self.proxy.made()
        kinds = [{Api.END_TXN}] * 13 + [{Api.PRODUCE}] * 6 + [COMMITS] * 6
        self.random.shuffle(kinds)
        for apis in kinds:
            how = self.random.choice(("reset", "truncate", "hang", "delay", "lose"))
            self.proxy.cut(apis, how, seconds=self.random.uniform(0.2, 2))
            if self.random.random() < 0.1:
                self.pause(0, 0.3)
                self.proxy.reset()
            self.pause(0.1, 0.7)
        client.wait_until(lambda: self.proxy.left == 0, "not every kind of request is made")
        self.lose_commits_until_they_time_out(scene)
        for way in (self.proxy.answers, self.proxy.requests):
            way.swallowed = True
            self.pause(1.5, 3)
            way.swallowed = False
            self.proxy.reset()
            self.pause(1, 2)
        self.end_load(load)
        self.settle(scene)
        self.check_all_once(scene)
        self.assertGreater(self.taken_back(), 0, "no commit was ever in doubt\n" + self.log_text())
        made = self.proxy.made() - before
        commits = sum(count for (api, _), count in made.items() if api == Api.END_TXN)
        print(f"{sum(made.values())} requests cut, {commits} of them commits; "
              f"{self.taken_back()} transactions taken back", flush=True)
        self.assertGreaterEqual(commits, 13)
        self.assertGreaterEqual(sum(made.values()), 25)

    def lose_commits_until_they_time_out(self, scene):
        """The library repeats a request; only when nothing has come of it for as long as a
        transaction may take is it up to us to find out whether the commit holds."""
        for number, how in enumerate(("reset", "lose", "lose", "lose")):
            if number > 1 and self.taken_back() > 0:
                break  # else the broker may have been too slow to give anything up
            before = self.proxy.made()[Api.END_TXN, how]
            self.proxy.cut({Api.END_TXN}, how, count=10_000)
            client.wait_until(lambda: self.proxy.made()[Api.END_TXN, how] > before,
                              "nobody commits")
            self.pause(TRANSACTION_S + 2, TRANSACTION_S + 3)
            self.proxy.mend()
            self.wait_for_progress(scene)

    def test_what_was_aborted_is_not_taken_for_what_comes_next(self):
        """Messages are written, their answers get lost, and the group takes everything away before
        they can be sent again. With the same epoch the next ones would have their sequence numbers:
        brokers would take them for these, which were aborted, and drop them, or refuse them as out
        of order."""
        scene = self.live_scene("sequences", partitions=1)
        load = self.start_load(scene, RATE)
        self.launch(scene, "one", commit__interval="10s", kafka__batch__num__messages="1",
                    kafka__session__timeout__ms="3000", kafka__transaction__timeout__ms="60000",
                    kafka__reconnect__backoff__ms="6000", kafka__reconnect__backoff__max__ms="6000")
        self.wait_for_progress(scene)
        self.proxy.cut({Api.PRODUCE}, "hang", seconds=0.5)
        client.wait_until(lambda: self.proxy.left == 0, "nothing is written before the commit")
        self.proxy.cut({Api.HEARTBEAT}, "lose", count=10_000)
        client.wait_until(lambda: self.taken_back() > 0, "the group takes nothing away")
        self.proxy.mend()
        self.wait_for_progress(scene)
        self.end_load(load)
        self.settle(scene)
        self.assertNotIn("out of order", self.log_text())
        self.check_all_once(scene)

    def test_a_slow_broker_slows_the_reader_and_nothing_is_dropped(self):
        scene = self.live_scene("slow")
        self.fill_live(scene, 200000)
        self.proxy.answers.delay_s = 0.25  # from the start: it would not take a second otherwise
        self.proxy.requests.bytes_per_s = 150000
        process = self.launch(scene, "one")
        self.wait_for_progress(scene)
        self.pause(12, 12)
        self.check_alive()
        left = self.ends(scene) - self.committed_sum(scene)
        self.assertGreater(left, 0, "it was not slow enough to hold anybody up")
        self.proxy.mend()
        self.wait_for_everything(scene)
        self.check_memory(process)
        self.settle(scene)
        self.check_all_once(scene)

    def check_memory(self, process):
        peak = peak_rss_mib(process)
        print(f"at most {peak:.0f} MiB of memory", flush=True)
        self.assertLess(peak, RSS_MAX_MIB)


class Processes(Faults):
    """One broker, and processes that come and go in every way."""

    def test_ten_kills_of_three_processes_leave_each_change_once(self):
        scene = self.live_scene("kills", partitions=9)
        load = self.start_load(scene, RATE)
        names = ("one", "two", "three")
        for name in names:
            self.launch(scene, name, workers=str(self.random.choice((1, 2))))
        self.wait_for_progress(scene)
        for number in range(10):
            self.pause(0.1, 1.5)
            if number % 3 == 0:  # somebody has just committed, and is amid the next output
                self.wait_for_progress(scene)
            name = self.random.choice(names)
            self.kill(name)
            self.pause(0, 0.5)
            self.launch(scene, name, workers=str(self.random.choice((1, 2))))
        self.wait_for_progress(scene)
        self.end_load(load)
        self.settle(scene)
        self.check_all_once(scene)

    def test_kills_and_zombies_at_least_once_leave_none_missing(self):
        scene = self.live_scene("least", delivery="at-least-once")
        load = self.start_load(scene, RATE)
        for name in ("one", "two"):
            self.launch(scene, name)
        self.wait_for_progress(scene)
        for _ in range(4):
            self.pause(0.1, 1.5)
            self.restart(scene, self.random.choice(("one", "two")))
        self.wait_for_progress(scene)
        self.stand_still(scene, "one")
        self.end_load(load)
        self.settle(scene)
        self.check_all_once(scene, repeated=True)

    def stand_still(self, scene, name):
        """For so long that the others take over; then it comes back and wants to go on."""
        self.pause(0, 0.3)
        self.freeze(name)
        time.sleep(SESSION_S + 1)
        self.wait_for_takeover(scene)
        self.thaw(name)
        self.pause(1, 2)
        self.check_alive()

    def test_who_stood_still_beyond_its_session_writes_nothing(self):
        scene = self.live_scene("zombies")
        load = self.start_load(scene, RATE)
        for name in ("one", "two"):
            self.launch(scene, name)
        self.wait_for_progress(scene)
        for number, name in enumerate(("one", "two", "one", "two")):
            if number < 2 or self.taken_back() == 0:  # whoever had nothing open may be asked again
                self.wait_for_progress(scene)
                self.stand_still(scene, name)
        self.end_load(load)
        self.settle(scene)
        self.check_all_once(scene)
        self.assertGreater(self.taken_back(), 0, "nobody had anything open\n" + self.log_text())

    def test_of_two_processes_of_one_instance_one_ends_if_not_both(self):
        """They displace each other until one is told, or both at once; nothing came of it."""
        for delivery, repeated in (("exactly-once", False), ("at-least-once", True)):
            scene = self.live_scene(f"rivals-{delivery}", delivery=delivery)
            load = self.start_load(scene, RATE)
            self.launch(scene, "one")
            self.wait_for_progress(scene)
            self.processes["former"] = self.processes.pop("one")
            self.launch(scene, "one")
            client.wait_until(self.ended, "nobody ends")
            time.sleep(1)
            for name in self.ended():
                process = self.processes.pop(name)
                self.assertEqual(process.returncode, 78, self.log_text())
                process.stdout.close()
            self.assertRegex(self.log_text(), "another process .* `instance`")
            if not self.processes:
                self.launch(scene, "one")
            self.wait_for_progress(scene)
            self.end_load(load)
            self.settle(scene)
            self.check_all_once(scene, repeated=repeated)

    def ended(self):
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def test_processes_join_and_leave_under_load(self):
        scene = self.live_scene("moves")
        load = self.start_load(scene, RATE)
        self.launch(scene, "p0")
        self.wait_for_progress(scene)
        for number in range(1, 6):
            self.launch(scene, f"p{number}")
            self.pause(1, 3)
            if number >= 2:
                self.terminate(self.random.choice(sorted(self.processes)))
                self.pause(0.5, 2)
            self.wait_for_progress(scene)
        self.end_load(load)
        self.settle(scene)
        self.check_all_once(scene)

    def test_memory_max_is_told_and_more_of_it_goes_on(self):
        scene = self.live_scene("memory", partitions=2)
        self.fill_live(scene, 60000, customers=20000)
        process = self.launch(scene, "one", state__memory_max="4MiB")
        self.assertEqual(process.wait(PATIENCE_S), 78, self.log_text())
        self.processes.pop("one").stdout.close()
        self.assertIn("state.memory_max is reached", self.log_text())
        self.launch(scene, "one", state__memory_max="256MiB")
        self.settle(scene)
        self.check_all_once(scene)

    def test_a_throttled_producer_holds_the_reader_up_within_memory(self):
        scene = self.live_scene("quota")
        self.fill_live(scene, 200000)
        self.set_quota(200000)
        try:
            process = self.launch(scene, "one")
            self.pause(15, 15)
            self.check_alive()
            left = self.ends(scene) - self.committed_sum(scene)
            self.assertGreater(left, 0, "the quota held nobody up")
        finally:
            self.set_quota(None)
        self.wait_for_everything(scene)
        peak = peak_rss_mib(process)
        print(f"at most {peak:.0f} MiB of memory", flush=True)
        self.assertLess(peak, RSS_MAX_MIB)
        self.settle(scene)
        self.check_all_once(scene)

    def test_a_broker_that_stands_still_for_20_s_is_waited_for(self):
        scene = self.live_scene("frozen")
        load = self.start_load(scene, RATE)
        process = self.launch(scene, "one")
        self.wait_for_progress(scene)
        self.kafka.freeze(1)
        try:
            time.sleep(20)
            self.check_alive()
        finally:
            self.kafka.thaw(1)
        self.wait_for_progress(scene)
        self.end_load(load)
        self.settle_with_memory(scene, process)
        self.check_all_once(scene)

    def settle_with_memory(self, scene, process):
        self.wait_for_everything(scene)
        peak = peak_rss_mib(process)
        print(f"at most {peak:.0f} MiB of memory", flush=True)
        self.assertLess(peak, RSS_MAX_MIB)
        self.settle(scene)


if __name__ == "__main__":
    unittest.main(verbosity=2)
