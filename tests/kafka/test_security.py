"""Over SCRAM and TLS, with no more rights than are needed, the program does all its work.

Goal: a safe connection works; one that is not right ends soon, with an exit code and a text that
says what to do; no password comes out; the rights in the README are enough, and each is needed.
Method: an Apache Kafka with certificates of our own authority, SCRAM and an authorizer. The
program comes in by the safe listener, the test looks on from the plain one, where it may do
all. Every right is taken away in turn, each from a scene with topics of its own, so that several
run at a time.
"""

import base64
import concurrent.futures
import os
import pathlib
import re
import secrets
import shlex
import subprocess
import tempfile
import time
import unittest

import msgpack
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient, NewTopic, OffsetSpec

from kafka import client, rights, test_run
from kafka.certificate import Authority
from kafka.client import Message
from kafka.cluster import ROOT, Cluster, Secure, java
from kafka.test_run import BINARY, PATIENCE_S, PATIENT, ask_to_end, end, quiet_environment

USER = "nilai"
PASSWORD = "geheim-" + secrets.token_hex(12)
PERSON = "a-person-with-a-name"
DAY = 86400000
TOO_LONG_S = 120
AT_A_TIME = 3


class SafeScene(test_run.Scene):
    """The program comes as USER, and finds its topics made."""

    def __init__(self, kafka, directory, name, **settings):
        super().__init__(kafka.secure_bootstrap, name, **({
            "topics__create": "false", "output__customers": "true", "workers": "1",
            "state__image_round_max": "1s",
            "kafka__security__protocol": "SASL_SSL",
            "kafka__sasl__mechanisms": "SCRAM-SHA-512",
            "kafka__sasl__username": USER,
            "kafka__sasl__password__file": f"{directory}/password",
            "kafka__ssl__ca__location": f"{directory}/ours.pem",
        } | settings))
        self.kafka = kafka
        self.bootstrap = kafka.bootstrap  # the test's own way in

    def topic(self, part):
        return self.outputs.get(part, f"{self.group}.{part}")

    def topics(self):
        return {self.topic(part): client.KEPT if part in (*rights.INPUTS, "state") else {}
                for part in (*rights.INPUTS, *rights.OUTPUTS, "state")}

    def name_of(self, right):
        if right.kind == "topic":
            return self.topic(right.what)
        return self.group + "-" * (right.kind == "transactional-id")

    def bindings(self, principal, needed):
        return {principal.binding(right.kind, self.name_of(right), right.operation)
                for right in needed}

    @client.patiently
    def written(self):
        """The parts of the outputs that hold something."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        asked = admin.list_offsets({TopicPartition(self.topic(part), 0): OffsetSpec.latest()
                                    for part in rights.OUTPUTS})
        ends = {place.topic: future.result().offset for place, future in asked.items()}
        return {part for part in rights.OUTPUTS if ends[self.topic(part)] > 0}


class DefaultScene(SafeScene):
    """The names that nobody has set."""

    def topic(self, part):
        names = {"tickets": "support-tickets", "customers": "nilai.customers",
                 "dead-letter": "nilai.dead-letter", "state": "nilai.state"}
        return names.get(part, part)


def make_topics(bootstrap, scenes, partitions=1):
    client.create_topics(bootstrap, [NewTopic(name, partitions, config=config) for scene in scenes
                                     for name, config in scene.topics().items()])


def events():
    """Somebody who comes back, and then does not: each output has something to say of it."""
    start = 1577836800000
    sales = [(PERSON, start), (PERSON, start + 10 * DAY), (PERSON, start + 20 * DAY),
             ("other", start + 1000 * DAY)]
    return [*(Message(msgpack.packb({"id": str(number), "type": "purchase", "customer": customer,
                                     "ts": ts, "amount": 50}), customer.encode())
              for number, (customer, ts) in enumerate(sales)),
            Message(b"\xc1", PERSON.encode())]


class Security(test_run.Run):
    @classmethod
    def setUpClass(cls):
        cls.files = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="nilai-security-"))
        ours = Authority(cls.files, "ours")
        Authority(cls.files, "strangers")
        pathlib.Path(cls.files, "password").write_text(PASSWORD + "\n")
        pathlib.Path(cls.files, "wrong-password").write_text(PASSWORD[:-1] + "x\n")
        cls.kafka = cls.enterClassContext(
            Cluster(secure=Secure({USER: PASSWORD}, ours.key_store("localhost"))))
        cls.principal = rights.Principal(cls.kafka.bootstrap, USER)

    def scene(self, name, **settings):
        return SafeScene(self.kafka, self.files, name, **settings)

    def give(self, *users, scenes):
        """Exactly what the README says that these need."""
        self.principal.hold(set().union(*(
            scene.bindings(self.principal, rights.needed_by(user))
            for scene in scenes for user in users)))

    def check_discreet(self, text):
        self.assertNotIn(PASSWORD, text)
        self.assertNotIn(base64.b64encode(PASSWORD.encode()).decode(), text)
        self.assertNotIn(PERSON, text)

    # --- What works -------------------------------------------------------------------------

    def check_work(self, mechanism, delivery):
        scene = self.scene(f"work-{mechanism}".lower(), delivery=delivery,
                           kafka__sasl__mechanisms=mechanism)
        make_topics(self.kafka.bootstrap, [scene], 2)
        self.give(rights.LOADGEN, scenes=[scene])
        self.check_ended(scene.run("--events", "5000", "--customers", "300", "--seed", "3",
                                   "--bad", "0.01", command="loadgen"))
        self.give(delivery, scenes=[scene])
        text = self.check_ended(scene.run("--exit-at-end"))
        self.assertNotRegex(text, " (warning|error) ")
        places = self.check_dead_letters(scene, scene.dead())
        self.assertEqual(self.check_published(scene, places) + len(places), 5000)
        self.check_ended(scene.run("--exit-at-end"))  # from the journal, with nothing new
        self.check_published(scene, places)

    def test_exactly_once_over_scram_sha_512(self):
        self.check_work("SCRAM-SHA-512", rights.EXACTLY)

    def test_at_least_once_over_scram_sha_256(self):
        self.check_work("SCRAM-SHA-256", rights.AT_LEAST)

    def test_topics_are_made_with_the_right_to(self):
        scene = self.scene("made", topics__create="true")
        needed = scene.bindings(self.principal, rights.needed_by(rights.EXACTLY))
        self.principal.hold(needed)
        text = self.check_ended(scene.run("--exit-at-end"), 78)
        self.assertIn("the right CREATE", text)
        self.assertIn(scene.inputs[0], text)
        self.principal.hold(needed | {self.principal.binding("topic", name, AclOperation.CREATE)
                                      for name in scene.topics()})
        self.check_ended(scene.run("--exit-at-end"))

    # --- What is refused --------------------------------------------------------------------

    def test_who_is_refused_is_told_why(self):
        port = self.kafka.nodes[0].secure_port
        cases = (
            (78, "kafka.sasl.password",
             {"kafka__sasl__password__file": f"{self.files}/wrong-password"}),
            (78, "kafka.sasl.username", {"kafka__sasl__username": "nobody"}),
            (78, "SCRAM-SHA-256", {"kafka__sasl__mechanisms": "PLAIN"}),
            (78, "kafka.ssl.ca.location",
             {"kafka__ssl__ca__location": f"{self.files}/strangers.pem"}),
            (78, "ssl.ca.location", {"kafka__ssl__ca__location": f"{self.files}/nowhere.pem"}),
            (78, "kafka.sasl.password.file: .*No such file",
             {"kafka__sasl__password__file": f"{self.files}/nowhere"}),
            (78, "certificate must .* name the host",  # it is that of localhost
             {"kafka__bootstrap__servers": f"127.0.0.1:{port}"}),
            (78, "kafka.security.protocol", {"kafka__bootstrap__servers": self.kafka.bootstrap}),
            (69, "security.protocol", {"kafka__security__protocol": "PLAINTEXT"}),
            (69, "security.protocol", {"kafka__security__protocol": "SASL_PLAINTEXT"}),
        )
        self.assertEqual(self.kafka.secure_bootstrap, f"localhost:{port}")
        # A refusal is told at once, by a broker that may be slow. What is silence and ends only with
        # the patience comes after them: then the broker has time to hang up.
        for code, patience_s in ((78, PATIENCE_S), (69, 30)):
            self.check_refusals([case for case in cases if case[0] == code], patience_s)

    def check_refusals(self, cases, patience_s):
        scene = self.scene("refused")
        running = [(case, command, scene.start("--connect-timeout", f"{patience_s}s",
                                               command=command, **case[2]))
                   for case in cases for command in ("run", "loadgen")]
        for (code, pattern, settings), command, process in running:
            with self.subTest(command=command, settings=settings):
                try:
                    out, err = process.communicate(timeout=TOO_LONG_S)
                finally:
                    end(process)
                text = err.decode()
                self.assertEqual((process.returncode, out), (code, b""), text)
                self.assertRegex(text.splitlines()[-1], pattern)
                self.check_discreet(text)

    def test_the_host_may_be_left_unverified_by_who_says_so(self):
        """The case above fails for the name alone."""
        scene = self.scene("unverified", kafka__ssl__endpoint__identification__algorithm="none")
        bootstrap = f"127.0.0.1:{self.kafka.nodes[0].secure_port}"
        text = self.check_ended(scene.run(kafka__bootstrap__servers=bootstrap), 78)
        self.assertIn("the right", text)

    # --- Secrets ----------------------------------------------------------------------------

    def test_a_password_does_not_come_out(self):
        scene = self.scene("secrets")
        make_topics(self.kafka.bootstrap, [scene])
        client.produce(self.kafka.bootstrap, scene.inputs[0], events())
        self.give(rights.EXACTLY, scenes=[scene])
        loud = {"log__level": "debug", "kafka__debug": "all"}
        text = self.check_ended(scene.run("--exit-at-end", **loud))
        self.assertRegex(text, "SCRAM")  # it is loud
        self.check_discreet(text)
        code, _, text = scene.run(kafka__sasl__password__file=f"{self.files}/wrong-password",
                                  **loud)
        self.assertEqual(code, 78)
        self.assertNotIn(PASSWORD[:-1], text)

    def test_a_password_may_come_by_environment_but_not_by_command_line(self):
        scene = self.scene("environment")
        del scene.settings["kafka.sasl.password.file"]
        make_topics(self.kafka.bootstrap, [scene])
        self.give(rights.EXACTLY, scenes=[scene])
        by_environment = quiet_environment() | {"NILAI_KAFKA_SASL_PASSWORD": PASSWORD}
        for command, options in (("run", ["--exit-at-end"]), ("check", [])):
            done = subprocess.run([BINARY, command, *scene.arguments(), *options],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  env=by_environment, timeout=PATIENCE_S, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.check_discreet(done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"sasl\.password")  # that there is one, is told
        for command in ("run", "check", "loadgen"):
            code, out, err = scene.run(command=command, kafka__sasl__password=PASSWORD)
            self.assertEqual((code, out), (78, b""), err)
            self.assertIn("kafka.sasl.password.file", err)
            self.check_discreet(err)

    # --- Rights -----------------------------------------------------------------------------

    def cases(self, user):
        """(what is missing, what there is instead): nothing, or only to know that it is there."""
        for right in rights.needed_by(user):
            yield right, ()
            if right.kind == "topic" and right.missed is None:
                yield right, (right._replace(operation=AclOperation.DESCRIBE),)

    def check_rights(self, user):
        cases = list(self.cases(user))
        delivery = rights.AT_LEAST if user == rights.AT_LEAST else rights.EXACTLY
        scenes = [self.scene(f"{user}-{number}", delivery=delivery)
                  for number in range(len(cases))]
        make_topics(self.kafka.bootstrap, scenes)
        held = set()
        for scene, (missing, instead) in zip(scenes, cases):
            rest = [right for right in rights.needed_by(user) if right != missing]
            held |= scene.bindings(self.principal, [*rest, *instead])
            client.produce(self.kafka.bootstrap, scene.inputs[0], events())
        self.principal.hold(held)
        with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
            checks = [pool.submit(self.check_goes_on if missing.missed else self.check_ends,
                                  user, scene, missing)
                      for scene, (missing, _) in zip(scenes, cases)]
        for case, check in zip(cases, checks):
            missing, instead = str(case[0]), [str(one) for one in case[1]]
            with self.subTest(user=user, missing=missing, instead=instead):
                check.result()

    def check_ends(self, user, scene, missing):
        command = "loadgen" if user == rights.LOADGEN else "run"
        options = ["--events", "500"] if command == "loadgen" else ["--exit-at-end"]
        begun = time.monotonic()
        code, out, text = scene.run(*options, command=command)
        self.assertLess(time.monotonic() - begun, TOO_LONG_S, text)
        self.assertEqual((code, out), (78, b""), text)
        line = next(line for line in text.splitlines() if "the right" in line)
        self.assertIn(scene.name_of(missing), line)
        if missing.what != "state":  # whether it is to be read or written comes to the same
            self.assertIn(f"the right {missing.operation.name}", line)
        self.check_discreet(text)

    def check_goes_on(self, _user, scene, missing):
        """In service, with work, until it has said what it misses; then SIGTERM."""
        log = pathlib.Path(self.files, f"{scene.group}.log")
        with log.open("wb") as stream:
            process = subprocess.Popen([BINARY, "run", *scene.arguments(), *PATIENT],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=stream, env=quiet_environment())
        deadline = time.monotonic() + PATIENCE_S
        try:
            while not (scene.written() == set(rights.OUTPUTS)
                       and re.search(missing.missed, log.read_text())):
                self.assertIsNone(process.poll(), log.read_text())
                self.assertLess(time.monotonic(), deadline, log.read_text())
                client.produce(self.kafka.bootstrap, scene.inputs[0], events()[:1])
                time.sleep(0.3)
            ask_to_end(process)
            self.assertEqual(process.wait(PATIENCE_S), 0, log.read_text())
        finally:
            process.kill()
            process.wait()
        line = next(line for line in log.read_text().splitlines()
                    if re.search(missing.missed, line))
        self.assertIn(scene.name_of(missing), line)
        self.assertIn(" warning ", line)
        self.check_discreet(log.read_text())

    def test_the_commands_in_the_readme_give_these_rights(self):
        """As a shell runs them, with the tool of Kafka itself."""
        readme = (ROOT / "README.md").read_text()
        commands, = (block for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
                     if "kafka-acls.sh" in block)
        path = pathlib.Path(self.files, "kafka-acls.sh")
        path.write_text('#!/bin/sh\nexec ' + shlex.join([*java(64), "kafka.admin.AclCommand"])
                        + ' "$@"\n')
        path.chmod(0o755)
        pathlib.Path(self.files, "admin.properties").touch()
        given = {USER: rights.RUN, "loadgen": (rights.LOADGEN,)}
        principals = {name: rights.Principal(self.kafka.bootstrap, name) for name in given}
        for principal in principals.values():
            principal.hold(set())
        done = subprocess.run(
            ["sh", "-euc", commands.replace("kafka-1:9092", self.kafka.bootstrap)],
            cwd=self.files, env=os.environ | {"PATH": f"{self.files}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S,
            check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        scene = DefaultScene(self.kafka, self.files, "nilai")
        for name, users in given.items():
            needed = set().union(*(scene.bindings(principals[name], rights.needed_by(user))
                                   for user in users))
            client.wait_until(lambda: principals[name].held() >= needed,
                              f"{name} has not all the rights")
            self.assertEqual(principals[name].held(), needed)

    def test_each_right_is_needed_exactly_once(self):
        self.check_rights(rights.EXACTLY)

    def test_each_right_is_needed_at_least_once(self):
        self.check_rights(rights.AT_LEAST)

    def test_each_right_is_needed_by_the_load_generator(self):
        self.check_rights(rights.LOADGEN)


def load_tests(loader, _tests, _pattern):
    """Only the claims of this file: those of test_run have been made there."""
    return unittest.TestSuite([Security(name) for name in loader.getTestCaseNames(Security)
                               if name in vars(Security)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
