"""A bad network between clients and a broker: slow, deaf, torn, or torn at the worst moment.

    with ProxiedCluster() as kafka:
        ... clients of kafka.proxied_bootstrap ...
        kafka.proxies[0].cut({Api.END_TXN}, "reset")    # the next commit's answer gets lost

The proxy knows just enough of Kafka's protocol to see requests and their answers: each is a
frame, `size:i32 api_key:i16 api_version:i16 correlation:i32 ...` there and
`size:i32 correlation:i32 ...` back. Whatever comes from a client goes to the one broker behind the proxy.

Thread: a proxy has one of its own. What tests call may come from any thread.
"""

import asyncio
import collections
import contextlib
import enum
import socket
import struct
import threading
from typing import NamedTuple

from kafka.cluster import PATIENCE_S, Cluster

FRAME_MAX = 256 << 20
PIECE = 16384


class Api(enum.IntEnum):
    """The requests that tests speak of, by Kafka's numbers."""
    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28


# What becomes of a request that is cut. In all but the last the broker has done what it says.
HOW = (
    "reset",     # its answer is dropped and the connection is reset
    "truncate",  # half of its answer arrives, then the connection is reset
    "hang",      # its answer and all after it are dropped; after `seconds` comes the reset
    "delay",     # its answer, and all behind it, come `seconds` later
    "lose",      # it never reaches the broker, and the connection is reset
)


class Cut(NamedTuple):
    apis: frozenset
    how: str
    seconds: float


class Way:
    """One direction of all connections: how long a frame takes, and whether it arrives at all."""

    def __init__(self):
        self.delay_s = 0.0
        self.bytes_per_s = None
        self.swallowed = False


class Proxy:
    """Listens on `port` for as long as the block lasts and passes everything to `upstream`."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.requests, self.answers = Way(), Way()
        self.port = None
        self._cuts = []
        self._made = collections.Counter()
        self._lock = threading.Lock()
        self._links = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self.port = self._call(self._listen())
        return self

    def __exit__(self, *_):
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What a test does to the network.

    def cut(self, apis, how, seconds=0.0, count=1):
        """The next `count` requests of these kinds are cut."""
        assert how in HOW, how
        with self._lock:
            self._cuts += [Cut(frozenset(apis), how, seconds)] * count

    def mend(self):
        """Everything passes again, at once; what was not cut yet will not be."""
        with self._lock:
            self._cuts.clear()
        for way in (self.requests, self.answers):
            way.delay_s, way.bytes_per_s, way.swallowed = 0.0, None, False

    def reset(self):
        """Resets all connections."""
        self._call(self._reset_all())

    def made(self):
        """How many requests were cut, by (api, how)."""
        with self._lock:
            return self._made.copy()

    @property
    def left(self):
        """How many requests are still to be cut."""
        with self._lock:
            return len(self._cuts)

    def loses(self, way):
        """Whether a connection has lost bytes that went this way."""
        return any(way in link.deaf for link in list(self._links))

    @property
    def connections(self):
        return len(self._links)

    # In the loop's thread.

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_S)

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        return self._server.sockets[0].getsockname()[1]

    async def _end(self):
        self._server.close()
        links = list(self._links)
        for link in links:
            link.reset()
        await asyncio.gather(*(link.ended.wait() for link in links))

    async def _reset_all(self):
        for link in list(self._links):
            link.reset()

    async def _serve(self, reader, writer):
        link = Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
            link.ended.set()

    def take_cut(self, api):
        """The cut that this request gets, if any."""
        with self._lock:
            for cut in self._cuts:
                if api in cut.apis:
                    self._cuts.remove(cut)
                    self._made[api, cut.how] += 1
                    return cut
        return None


class Link:
    """One client's connection and ours to the broker."""

    def __init__(self, proxy, reader, writer):
        self.proxy = proxy
        self.client_reader, self.client_writer = reader, writer
        self.broker_reader = self.broker_writer = None
        self.cuts = {}  # by correlation: answers that will not come as they should
        self.deaf = set()  # ways that have lost bytes
        self.ended = asyncio.Event()

    async def run(self):
        try:
            self.broker_reader, self.broker_writer = await asyncio.open_connection(
                "127.0.0.1", self.proxy.upstream)
        except OSError:
            self.reset()
            return
        ways = [asyncio.ensure_future(way()) for way in (self.carry_requests, self.carry_answers)]
        # Where one side ends the other has nobody to talk to: Kafka knows no half-closed ones.
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for result in await asyncio.gather(*ways, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, (OSError, EOFError)):
                raise result
        for writer in (self.client_writer, self.broker_writer):
            writer.close()

    async def carry_requests(self):
        while frame := await read_frame(self.client_reader):
            api, _, correlation = struct.unpack_from(">hhi", frame, 4)
            cut = self.proxy.take_cut(api)
            if cut and cut.how == "lose":
                return self.reset()
            if cut:
                self.cuts[correlation] = cut
            await self.send(self.broker_writer, frame, self.proxy.requests)

    async def carry_answers(self):
        while frame := await read_frame(self.broker_reader):
            cut = self.cuts.pop(struct.unpack_from(">i", frame, 4)[0], None)
            if cut is None:
                await self.send(self.client_writer, frame, self.proxy.answers)
            elif not await self.maim(cut, frame):
                return self.reset()

    async def maim(self, cut, frame):
        """False: that was the end of the connection."""
        if cut.how == "delay":
            await asyncio.sleep(cut.seconds)
            await self.send(self.client_writer, frame, self.proxy.answers)
            return True
        if cut.how == "truncate":
            self.client_writer.write(frame[:len(frame) // 2])
            await self.client_writer.drain()
        if cut.how == "hang":
            await asyncio.sleep(cut.seconds)  # nothing is read meanwhile
        return False

    async def send(self, writer, frame, way):
        if way.delay_s:
            await asyncio.sleep(way.delay_s)
        for begin in range(0, len(frame), PIECE):
            if way.swallowed:  # the rest of a connection that lost bytes means nothing
                self.deaf.add(way)
            if way in self.deaf:
                return
            piece = frame[begin:begin + PIECE]
            if way.bytes_per_s:
                await asyncio.sleep(len(piece) / way.bytes_per_s)
            writer.write(piece)
            await writer.drain()

    def reset(self):
        """RST instead of FIN: what is on its way is lost."""
        for writer in (self.client_writer, self.broker_writer):
            if writer is None:
                continue
            with contextlib.suppress(OSError, AttributeError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


async def read_frame(reader):
    """A whole frame with its size, or nothing at the end."""
    try:
        head = await reader.readexactly(4)
        size, = struct.unpack(">i", head)
        if not 8 <= size <= FRAME_MAX and size != 4:
            raise ValueError(f"a frame of {size} bytes: this is not Kafka")
        return head + await reader.readexactly(size)
    except (asyncio.IncompleteReadError, OSError):
        return None


class ProxiedCluster(Cluster):
    """A cluster with one more listener, which can be reached through the proxies alone."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.proxies = [Proxy(node.proxied_port) for node in self.nodes]
        self._open = contextlib.ExitStack()

    @property
    def proxied_bootstrap(self):
        return ",".join(f"127.0.0.1:{proxy.port}" for proxy in self.proxies)

    def __enter__(self):
        try:
            for proxy in self.proxies:
                self._open.enter_context(proxy)
        except BaseException:
            self._open.close()
            raise
        return super().__enter__()

    def close(self):
        super().close()
        self._open.close()

    def _settings(self, node):
        settings = super()._settings(node)
        proxy = self.proxies[node.number - 1]
        for name, port in (("listeners", proxy.upstream), ("advertised.listeners", proxy.port)):
            settings[name] += f",PROXIED://127.0.0.1:{port}"
        settings["listener.security.protocol.map"] += ",PROXIED:PLAINTEXT"
        return settings
