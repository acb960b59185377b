"""The bad network of the tests is bad in the way that was asked for, and otherwise not.

Goal: what a test of faults says it did to a connection has happened.
Method: a small server that answers each request with its own bytes and remembers it; then one
transaction of a real Kafka whose commit is answered to nobody.
"""

import contextlib
import socket
import struct
import threading
import time
import unittest

from confluent_kafka import KafkaException

from kafka import client
from kafka.client import Message
from kafka.cluster import PATIENCE_S
from kafka.proxy import Api, Proxy, ProxiedCluster


def request(api, correlation, payload=b""):
    body = struct.pack(">hhi", api, 0, correlation) + payload
    return struct.pack(">i", len(body)) + body


def receive(connection, size):
    """So many bytes, or fewer at the end. What came before a reset counts."""
    data = b""
    while len(data) < size:
        try:
            piece = connection.recv(size - len(data))
        except ConnectionResetError:
            if not data:
                raise
            break
        if not piece:
            break
        data += piece
    return data


def receive_frame(connection):
    head = receive(connection, 4)
    return receive(connection, struct.unpack(">i", head)[0]) if len(head) == 4 else b""


class Echo:
    """Answers with the correlation and everything after it."""

    def __enter__(self):
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):
            while frame := receive_frame(connection):
                self.seen.append(struct.unpack_from(">hhi", frame)[2])
                connection.sendall(struct.pack(">i", len(frame) - 4) + frame[4:])


class OneConnection(unittest.TestCase):
    def setUp(self):
        self.echo = self.enterContext(Echo())
        self.proxy = self.enterContext(Proxy(self.echo.port))

    def connect(self):
        connection = self.enterContext(socket.create_connection(("127.0.0.1", self.proxy.port),
                                                                 PATIENCE_S))
        return connection

    def ask(self, connection, api, correlation, payload=b""):
        connection.sendall(request(api, correlation, payload))
        return receive_frame(connection)

    def check_passes(self, connection, correlation=77):
        payload = bytes(range(256)) * 300
        self.assertEqual(self.ask(connection, Api.FETCH, correlation, payload),
                         struct.pack(">i", correlation) + payload)

    def wait_for_seen(self, correlation, count=1):
        client.wait_until(lambda: self.echo.seen.count(correlation) >= count,
                          f"request {correlation} does not arrive")

    def test_without_a_fault_everything_passes(self):
        connections = [self.connect() for _ in range(5)]
        for connection in connections:
            self.check_passes(connection)
        self.assertEqual(self.proxy.connections, 5)
        self.assertEqual(sum(self.proxy.made().values()), 0)

    def test_a_cut_answer_is_to_a_request_that_arrived(self):
        for how, seconds in (("reset", 3600), ("truncate", 3600), ("hang", 0.5)):
            with self.subTest(how):  # only the last waits
                connection = self.connect()
                self.check_passes(connection)
                self.proxy.cut({Api.END_TXN}, how, seconds)
                started = time.monotonic()
                connection.sendall(request(Api.END_TXN, 9, b"x" * 100))
                arrived = b""
                with contextlib.suppress(ConnectionResetError):
                    arrived = receive(connection, 108)
                self.assertLess(len(arrived), 108)
                self.assertEqual(len(arrived) > 0, how == "truncate")
                if how == "hang":
                    self.assertGreater(time.monotonic() - started, 0.4)
                self.wait_for_seen(9)
                self.echo.seen.clear()
                self.assertEqual(self.proxy.made()[Api.END_TXN, how], 1)
                self.check_passes(self.connect())

    def test_a_lost_request_never_arrives(self):
        connection = self.connect()
        self.proxy.cut({Api.PRODUCE}, "lose")
        connection.sendall(request(Api.PRODUCE, 5))
        with self.assertRaises(ConnectionResetError):
            if connection.recv(1) == b"":
                raise AssertionError("closed in order")
        self.check_passes(self.connect(), 6)
        self.assertEqual(self.echo.seen, [6])

    def test_a_delayed_answer_holds_up_those_behind_it(self):
        connection = self.connect()
        self.proxy.cut({Api.END_TXN}, "delay", seconds=0.5)
        started = time.monotonic()
        connection.sendall(request(Api.END_TXN, 1) + request(Api.FETCH, 2))
        answers = [receive_frame(connection), receive_frame(connection)]
        self.assertEqual(answers, [struct.pack(">i", 1), struct.pack(">i", 2)])
        self.assertGreater(time.monotonic() - started, 0.4)

    def test_only_the_kinds_named_are_cut_and_as_often_as_said(self):
        self.proxy.cut({Api.END_TXN, Api.PRODUCE}, "reset", count=2)
        self.check_passes(self.connect())
        for api in (Api.PRODUCE, Api.END_TXN):
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(self.ask(self.connect(), api, 3), b"")
        self.assertEqual(self.ask(self.connect(), Api.END_TXN, 3), struct.pack(">i", 3))

    def test_half_open_connections_take_and_give_nothing(self):
        for way in (self.proxy.requests, self.proxy.answers):
            way.swallowed = True
            connection = self.connect()
            connection.settimeout(0.5)
            with self.assertRaises(TimeoutError):
                self.ask(connection, Api.FETCH, 4)
            client.wait_until(lambda: self.proxy.loses(way), "nothing gets lost")
            self.proxy.mend()
            with self.assertRaises(TimeoutError):  # what lost bytes stays lost
                self.ask(connection, Api.FETCH, 4)
            self.check_passes(self.connect())
        self.wait_for_seen(4, 2)
        self.assertEqual(self.echo.seen.count(4), 2)  # both of when the answers were swallowed

    def test_a_reset_is_seen_as_one(self):
        connection = self.connect()
        self.check_passes(connection)
        self.proxy.reset()
        with self.assertRaises(ConnectionResetError):
            connection.recv(1)

    def test_a_slow_way_takes_its_time(self):
        connection = self.connect()
        started = time.monotonic()
        self.proxy.answers.delay_s = 0.3
        self.check_passes(connection)
        self.assertGreater(time.monotonic() - started, 0.3)
        self.proxy.mend()
        started = time.monotonic()
        self.proxy.requests.bytes_per_s = 200000  # of 76800
        self.check_passes(connection)
        self.assertGreater(time.monotonic() - started, 0.35)

    def test_nobody_behind_the_door_is_a_reset(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        with Proxy(port) as proxy, self.assertRaises(ConnectionResetError):  # perhaps at once
            with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE_S) as connection:
                connection.recv(1)


class RealBroker(unittest.TestCase):
    def test_a_commit_holds_though_nobody_was_told(self):
        with ProxiedCluster() as kafka:
            client.create_topic(kafka.bootstrap, "told")
            producer = client.new_producer(kafka.proxied_bootstrap, {"transactional.id": "t"})
            producer.init_transactions(PATIENCE_S)
            producer.begin_transaction()
            client.send(producer, "told", [Message(b"kept")])
            client.finish(producer)
            proxy = kafka.proxies[0]
            proxy.cut({Api.END_TXN}, "hang", seconds=3600)
            with self.assertRaises(KafkaException):
                producer.commit_transaction(2)
            client.wait_until(lambda: proxy.left == 0, "nobody asks for the end")
            client.wait_until_decided(kafka.bootstrap, "told")
            records = client.read_all(kafka.bootstrap, "told")
            self.assertEqual([record.value for record in records], [b"kept"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
