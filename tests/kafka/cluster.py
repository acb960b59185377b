#!/usr/bin/env python3
"""A real Apache Kafka for tests and benches, on this machine, for as long as somebody needs it.

    with Cluster(nodes=3, properties={"log.retention.ms": 1000}) as kafka:
        ... kafka.bootstrap ... kafka.kill(1) ... kafka.start(1) ...

    cluster.py --nodes 1 run -- command ...     # NILAI_KAFKA_BOOTSTRAP_SERVERS is set for it

Every node is a KRaft broker and controller in one JVM with its own process group, on free
ports of the loopback interface, with all its files in one temporary directory. Nothing of it
outlives the process that asked: leaving the block ends it, and a watcher (a process that only
waits for our end of a pipe to close) does the same if we are killed.

The jars come from tests/kafka/pom.xml by `sh tests/run.sh --install`.
"""

import argparse
import contextlib
import logging
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBS = pathlib.Path(os.environ.get("NILAI_TEST_KAFKA_LIBS", ROOT / ".cache/kafka/libs"))
CLUSTER_ID = "bmlsYWktdGVzdC1jbHVzdA"  # 16 bytes in URL-safe base64, as StorageTool wants it
PATIENCE_S = 240  # with what must happen, on a machine that is slow and at times stands still
LOG_TAIL_LINES = 40
PORTS = 5  # of a node
# Whoever is not heard of for so long is taken for dead, and topics are refused if nobody is left.
# An only node is not: a machine that stands still must not look like that. If it was killed, who
# comes back must wait for the end of the session; among several the others take over after it.
LONG_SESSION_MS, SHORT_SESSION_MS = 120000, 6000


class ClusterError(Exception):
    """The cluster did not do what was asked; the message ends with what the nodes logged."""


class Node:
    """One broker: its ports, its directory, and its process while it runs."""

    def __init__(self, number, directory, ports):
        self.number = number
        self.directory = directory
        (self.port, self.controller_port, self.sasl_port, self.secure_port,
         self.proxied_port) = ports
        self.config = directory / "server.properties"
        self.log = directory / "broker.log"
        self.process = None

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def tail(self, lines=LOG_TAIL_LINES):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(f"node {self.number}: {line}" for line in text.splitlines()[-lines:])


class Secure(NamedTuple):
    """What makes a listener safe: who may come, and how the broker proves who it is."""
    users: dict  # password by name; both SCRAM-SHA-256 and SCRAM-SHA-512 know them
    key_store: pathlib.Path  # PEM: key and certificate of "localhost"


class Cluster:
    """`nodes` brokers. `properties` are added to every server.properties and win over ours,
    `environment` to what every node finds in its environment.

    `sasl` = (user, password) adds a second listener, `sasl_bootstrap`, with SASL/PLAIN.
    `secure` adds a listener, `secure_bootstrap`, with SCRAM over TLS, and an authorizer: who
    comes that way may do only what an ACL allows. Who comes to `bootstrap` may do all.
    """

    def __init__(self, nodes=1, properties=None, heap_mb=384, sasl=None, secure=None,
                 environment=None):
        self.properties = dict(properties or {})
        self.environment = dict(environment or {})
        self.heap_mb = heap_mb
        self.sasl = sasl
        self.secure = secure
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nilai-kafka-"))
        ports = free_ports(PORTS * nodes)
        self.nodes = [Node(n + 1, self.directory / f"node-{n + 1}", ports[n::nodes])
                      for n in range(nodes)]
        self.watcher = None

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def sasl_bootstrap(self):
        return ",".join(f"127.0.0.1:{node.sasl_port}" for node in self.nodes)

    @property
    def secure_bootstrap(self):
        return ",".join(f"localhost:{node.secure_port}" for node in self.nodes)

    def __enter__(self):
        try:
            turn_sigterm_into_exit()
            self.watcher = start_watcher(self.directory)
            self._format()
            for node in self.nodes:
                self._launch(node)
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and kind not in (KeyboardInterrupt, SystemExit, GeneratorExit):
            print(self.tails(), file=sys.stderr)
        self.close()

    def close(self):
        for node in self.nodes:
            self._signal(node, signal.SIGKILL)
        if self.watcher:
            self.watcher.stdin.close()
            self.watcher.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    # What a test does to a node; numbers start at 1.

    def start(self, number):
        """Starts a node that was stopped or killed, on its old ports and files."""
        node = self._node(number)
        assert not node.running, f"node {number} runs already"
        self._configure(node, SHORT_SESSION_MS)
        self._launch(node)
        self.wait_ready()

    def stop(self, number):
        """The polite way: leadership moves away, logs are closed."""
        node = self._node(number)
        self._signal(node, signal.SIGTERM)
        try:
            node.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise ClusterError(f"node {number} did not stop\n{node.tail()}") from None

    def kill(self, number):
        self._signal(self._node(number), signal.SIGKILL)

    def freeze(self, number):
        """A node that is there and says nothing, as after a long pause or behind a dead link."""
        self._signal(self._node(number), signal.SIGSTOP)

    def thaw(self, number):
        self._signal(self._node(number), signal.SIGCONT)

    def wait_ready(self):
        """Waits until every running node is known to the cluster and each answers for itself."""
        deadline = time.monotonic() + PATIENCE_S
        wanted = {node.number for node in self.nodes if node.running}
        while not self._answers(wanted):
            dead = [node for node in self.nodes if node.number in wanted and not node.running]
            if dead:
                raise ClusterError(f"node {dead[0].number} ended\n{dead[0].tail()}")
            if time.monotonic() > deadline:
                raise ClusterError(f"not ready within {PATIENCE_S} s\n{self.tails()}")
            time.sleep(0.1)

    def tails(self):
        return "\n".join(node.tail() for node in self.nodes)

    def _node(self, number):
        return self.nodes[number - 1]

    def _answers(self, wanted):
        for node in self.nodes:
            if node.number in wanted and not (listens(node.port) and brokers_seen_by(node) >= wanted):
                return False
        return True

    def _format(self):
        """Writes each node's configuration and lets Kafka's own tool lay out its directory."""
        tools = []
        for node in self.nodes:
            node.directory.mkdir()
            self._configure(node, LONG_SESSION_MS if len(self.nodes) == 1 else SHORT_SESSION_MS)
            with open(node.log, "ab") as log:
                tools.append(subprocess.Popen(
                    java(64) + ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID,
                                "-c", str(node.config), *self._credentials()],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        for node, tool in zip(self.nodes, tools):
            if tool.wait() != 0:
                raise ClusterError(f"node {node.number} could not be formatted\n{node.tail()}")

    def _configure(self, node, session_ms):
        settings = {"broker.session.timeout.ms": session_ms} | self._settings(node)
        node.config.write_text("".join(f"{k}={v}\n" for k, v in settings.items()))

    def _credentials(self):
        users = self.secure.users if self.secure else {}
        return [word for name, password in users.items()
                for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
                for word in ("--add-scram", f"{mechanism}=[name={name},password={password}]")]

    def _settings(self, node):
        count = len(self.nodes)
        replicas = min(3, count)
        in_sync = 2 if replicas == 3 else 1
        voters = ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self.nodes)
        listeners = [f"PLAINTEXT://127.0.0.1:{node.port}"]
        settings = {}
        if self.sasl:
            listeners.append(f"SASL_PLAINTEXT://127.0.0.1:{node.sasl_port}")
            settings = sasl_settings(*self.sasl)
        if self.secure:
            listeners.append(f"SASL_SSL://localhost:{node.secure_port}")
            settings |= secure_settings(self.secure.key_store)
        settings |= {
            "process.roles": "broker,controller",
            "node.id": node.number,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(listeners + [f"CONTROLLER://127.0.0.1:{node.controller_port}"]),
            "advertised.listeners": ",".join(listeners),
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                                              "SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
            "log.dirs": node.directory / "data",
            "auto.create.topics.enable": "false",
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            # Kafka's own topics: as durable as this cluster allows, and few partitions, because
            # each costs files and start-up time.
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": 4,
            # Tests wait for these; production does not mind them.
            "group.initial.rebalance.delay.ms": 0,
            "broker.heartbeat.interval.ms": 500,
            "group.min.session.timeout.ms": 1000,
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }
        return settings | self.properties

    def _launch(self, node):
        with open(node.log, "ab") as log:
            node.process = subprocess.Popen(
                java(self.heap_mb) + ["kafka.Kafka", str(node.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | self.environment)
        (node.directory / "pid").write_text(str(node.process.pid))

    @staticmethod
    def _signal(node, number):
        """Signals the node's whole process group, if there is one; waits for a killed one."""
        if not node.running:
            return
        os.killpg(node.process.pid, number)
        if number == signal.SIGKILL:
            node.process.wait()


def java(heap_mb):
    if not any(LIBS.glob("kafka_2.13-*.jar")):
        raise ClusterError(f"no Kafka in {LIBS}: run `sh tests/run.sh --install`")
    return ["java", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-Xshare:auto",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", f"{LIBS}/*"]


def sasl_settings(user, password):
    return {
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_plaintext.plain.sasl.jaas.config":
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'user_{user}="{password}";',
    }


def secure_settings(key_store):
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    listener = "listener.name.sasl_ssl."
    return {
        listener + "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
        listener + "scram-sha-256.sasl.jaas.config": login,
        listener + "scram-sha-512.sasl.jaas.config": login,
        listener + "ssl.keystore.type": "PEM",
        listener + "ssl.keystore.location": key_store,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }


def free_ports(count):
    """Ports that nobody listens on, below the range that outgoing connections are given from:
    else the port of a killed node could be taken before the node comes back."""
    with contextlib.ExitStack() as held:
        ports = []
        while len(ports) < count:
            port = random.SystemRandom().randrange(20000, 32000)
            candidate = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def brokers_seen_by(node):
    """The numbers of the brokers that this node knows to be alive; empty if it does not answer."""
    quiet = logging.getLogger("nilai.cluster.probe")
    quiet.disabled = True
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{node.port}"}, logger=quiet)
    try:
        return set(admin.list_topics(timeout=5).brokers)
    except KafkaException:
        return set()


def turn_sigterm_into_exit():
    """SIGTERM unwinds the `with` block like an exception, unless somebody handles it already."""
    with contextlib.suppress(ValueError):  # not the main thread: the watcher cleans up
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def start_watcher(directory):
    return subprocess.Popen([sys.executable, __file__, "watch", str(directory)],
                            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                            start_new_session=True)


def watch(directory):
    """Waits for the owner to end, however it ends, then ends the nodes and removes their files."""
    sys.stdin.buffer.read()
    for pid_file in pathlib.Path(directory).glob("node-*/pid"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(pid_file.read_text())
            # A number may have been given to another process since: ask what this one runs.
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            if os.fsencode(directory) in command:
                os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


def run(options):
    """Runs the command against a fresh cluster; its exit code is ours."""
    properties = dict(pair.split("=", 1) for pair in options.property)
    with Cluster(options.nodes, properties, options.heap) as kafka:
        environment = os.environ | {"NILAI_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
        command = subprocess.Popen(options.command, env=environment)
        try:
            code = command.wait()
        finally:
            if command.poll() is None:
                command.terminate()
                command.wait()
    return code if code >= 0 else 128 - code


def main():
    if sys.argv[1:2] == ["watch"]:
        return watch(sys.argv[2])
    parser = argparse.ArgumentParser(description="Run a command against a real Apache Kafka.")
    parser.add_argument("--nodes", type=int, default=1, help="brokers (default 1)")
    parser.add_argument("--property", action="append", default=[], metavar="NAME=VALUE",
                        help="a line for server.properties (repeatable)")
    parser.add_argument("--heap", type=int, default=384, metavar="MB", help="heap of a node")
    actions = parser.add_subparsers(dest="action", required=True)
    action = actions.add_parser("run", help="run -- command ...")
    action.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        return run(options)
    except ClusterError as error:
        print(f"cluster.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
