# SPDX-License-Identifier: EUPL-1.2
"""The NATS shell: a thread that pulls messages from the shared durable consumers and acknowledges them when committed.

Any number of processes may pull; each message is with one of them at a time. One that ends without an acknowledgement
gives back what it had after a while, marked as delivered before. Each lane is asked for by itself, and at the beginning
of a connection the lower one first: however many readings wait in the stream, an alarm is in hand before them.

While a cluster elects, nobody answers for a consumer. Its own leader is all that pulling needs, so each lane only asks
again, and what makes sure of stream and consumers, which needs all leaders, stops nobody.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import threading
import time
from functools import partial

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from cloud_ingest import jetstream
from cloud_ingest.config import Config
from cloud_ingest.errors import CloudError
from cloud_ingest.writer import Delivery, Writer
from decoders.records import LANES

_log = logging.getLogger(__name__)

_IN_HAND = 128  # messages of a lane that one process has at most
_EXPIRES_S = 2.0  # of one request for messages
_GRACE_S = 1.5  # without an answer to it, ask again
_ALIVE_S = 2  # a server that does not even answer a ping by then hangs
_CLOSE_S = 1.0  # to say goodbye; who hangs does not answer that either
_ENSURE_EVERY_S = 30.0
_UNANSWERED_S = 10.0  # longer than a cluster elects: the consumers may be no more
_ENDED = "Status"  # header: a request is over


class _Lane:
    """What of one lane is asked for and in hand. Only the loop touches it."""

    def __init__(self, consumer: str) -> None:
        self.consumer = consumer
        self.in_hand = 0
        self.request = 0  # number of the request at hand
        self.expected = 0  # messages that it may still bring
        self.answers = False  # on this connection somebody leads the consumer
        self.news = asyncio.Event()
        self.begun = asyncio.Event()  # what waited when the connection began was asked for

    async def pause(self, seconds: float) -> None:
        """Until there is news, for that long at most."""
        self.news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.news.wait(), seconds)


class Puller(threading.Thread):
    """Brings messages of the stream to ``writer``. ``connected``: a server has accepted us and has the consumers."""

    def __init__(self, config: Config, writer: Writer) -> None:
        """Raises ConfigError for what is wrong with the files that ``config.mqtt`` names."""
        super().__init__(name="puller")
        jetstream.identity(config.mqtt)
        self.connected = False
        self._config = config
        self._writer = writer
        self._stopping = threading.Event()
        self._lanes = [_Lane(jetstream.consumer_of(config.jetstream, lane)) for lane in LANES]
        self._is_ensured = False  # stream and consumers were there once
        self._ensure_at = 0.0
        self._answered_at = 0.0  # when a consumer's leader did
        self._problem = ""
        self._telling: set[asyncio.Future[None]] = set()

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        asyncio.run(self._pull_for_ever())

    async def _pull_for_ever(self) -> None:
        self._loop = asyncio.get_running_loop()
        for server in itertools.cycle(self._config.jetstream.servers):
            if self._stopping.is_set():
                return
            try:
                client = await jetstream.connect(self._config.mqtt, server)
            except CloudError as error:
                self._warn(str(error))
                await asyncio.sleep(1.0)
                continue
            try:
                await self._pull(client, server)
            except (TimeoutError, nats.errors.Error) as error:
                self._warn(f"{server}: {client.last_error or repr(error)}")
                await asyncio.sleep(0.5)
            except Exception:  # a bug; a service that pulls no more would only look well
                _log.exception("pulling stopped and begins again")
                await asyncio.sleep(1.0)
            finally:
                self.connected = False
                for lane in self._lanes:
                    lane.answers = False
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(client.close(), _CLOSE_S)

    async def _pull(self, client: Client, server: str) -> None:
        if not self._is_ensured:
            await self._ensure(client)
            for lane in self._lanes:
                self._answered(lane, server)
        working = [asyncio.ensure_future(self._ensure_for_ever(client))]
        before: _Lane | None = None
        for lane in self._lanes:
            lane.begun.clear()
            inbox = client.new_inbox()
            await client.subscribe(f"{inbox}.*", cb=partial(self._received, client, server, lane))
            working.append(asyncio.ensure_future(self._ask_for_ever(client, lane, inbox, before)))
            before = lane
        try:
            await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)  # each ends with the connection
            for ended in working:
                if ended.done():
                    ended.result()
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        if not self._stopping.is_set():
            self._warn(f"{server}: connection lost")

    def _goes_on(self, client: Client) -> bool:
        return not self._stopping.is_set() and client.is_connected

    async def _ensure_for_ever(self, client: Client) -> None:
        while self._goes_on(client):
            try:
                await self._ensure(client)
            except (TimeoutError, nats.errors.Error) as error:  # the next node may know more
                if self._answered_at + _UNANSWERED_S < time.monotonic():
                    raise
                _log.debug("stream not ensured: %r", error)
            await asyncio.sleep(0.5)

    async def _ensure(self, client: Client) -> None:
        if time.monotonic() >= self._ensure_at:
            await jetstream.ensure(client, self._config.jetstream)
            self._is_ensured = True
            self._ensure_at = time.monotonic() + _ENSURE_EVERY_S

    def _answered(self, lane: _Lane, server: str) -> None:
        self._answered_at, lane.answers = time.monotonic(), True
        if not self.connected and all(each.answers for each in self._lanes):
            self.connected, self._problem = True, ""
            _log.info("stream connected server=%s", server)

    def _unanswered(self, lane: _Lane, problem: str) -> None:
        """A leader that went, or a consumer that is no more."""
        self._warn(problem)
        self.connected = lane.answers = False
        self._ensure_at = min(self._ensure_at, self._answered_at + _UNANSWERED_S)

    async def _ask_for_ever(self, client: Client, lane: _Lane, inbox: str, before: _Lane | None) -> None:
        if before is not None:
            await before.begun.wait()
        while self._goes_on(client):
            if lane.in_hand >= _IN_HAND:
                lane.begun.set()
                await lane.pause(1.0)
                continue
            await self._ask(client, lane, inbox)
            deadline = time.monotonic() + _EXPIRES_S + _GRACE_S
            while lane.expected and self._goes_on(client):
                if time.monotonic() > deadline:
                    self._unanswered(lane, "no answer")
                    await client.flush(_ALIVE_S)
                    break
                await lane.pause(1.0)
            lane.begun.set()

    async def _ask(self, client: Client, lane: _Lane, inbox: str) -> None:
        lane.request += 1
        lane.expected = min(_IN_HAND - lane.in_hand, self._config.jetstream.max_in_hand)
        wanted: dict[str, int | bool] = {"batch": lane.expected}
        if lane.begun.is_set():
            wanted["expires"] = int(_EXPIRES_S * 1e9)
        else:  # is there anything? The next lane waits for the answer
            wanted["no_wait"] = True
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{jetstream.STREAM}.{lane.consumer}"
        await client.publish(subject, json.dumps(wanted).encode(), f"{inbox}.{lane.request}")

    async def _received(self, client: Client, server: str, lane: _Lane, message: Msg) -> None:
        headers = message.headers or {}
        if _ENDED in headers and not message.data:
            if message.subject.rpartition(".")[2] == str(lane.request):  # not of an earlier request
                lane.expected = 0
                lane.news.set()
                if headers[_ENDED] in ("404", "408"):  # no messages, or none in time: as it should be
                    self._answered(lane, server)
                else:
                    description = headers.get("Description", "").partition("\n")[0] or "nobody leads a consumer"
                    self._unanswered(lane, f"{headers[_ENDED]} {description}")
                    await asyncio.sleep(0.5)
            return
        self._answered(lane, server)
        lane.in_hand += 1
        lane.expected = max(lane.expected - 1, 0)
        done = partial(self._done, client, lane, message.reply)
        again = message.metadata.num_delivered > 1
        self._writer.put(Delivery(jetstream.topic_of(message.subject), message.data, done, again))
        if not lane.expected:
            lane.news.set()

    def _done(self, client: Client, lane: _Lane, reply: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._acknowledge, client, lane, reply)

    def _acknowledge(self, client: Client, lane: _Lane, reply: str) -> None:
        lane.in_hand -= 1
        lane.news.set()
        if client.is_connected:
            telling = asyncio.ensure_future(_tell_done(client, reply))
            self._telling.add(telling)  # asyncio itself does not keep it
            telling.add_done_callback(self._telling.discard)

    def _warn(self, problem: str) -> None:
        if problem != self._problem:  # once, not at every attempt
            _log.warning("stream cannot be read: %s; trying again", problem)
        self._problem = problem


async def _tell_done(client: Client, reply: str) -> None:
    with contextlib.suppress(nats.errors.Error):  # the connection has ended: it will be brought again
        await client.publish(reply, b"+ACK")
