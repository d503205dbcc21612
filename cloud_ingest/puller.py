# SPDX-License-Identifier: EUPL-1.2
"""The NATS shell: a thread that pulls messages from the shared durable consumer and acknowledges them after the commit.

Any number of processes may pull; each message is with one of them at a time. One that ends without an acknowledgement
gives back what it had after a while, marked as delivered before.
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

_log = logging.getLogger(__name__)

_IN_HAND = 128  # messages one process has at most
_EXPIRES_S = 2.0  # of one request for messages
_GRACE_S = 3.0  # without an answer to it, ask again
_ENSURE_EVERY_S = 30.0
_ENDED = "Status"  # header: a request is over


class Puller(threading.Thread):
    """Brings messages of the stream to ``writer``. ``connected``: a server has accepted us and has the consumer."""

    def __init__(self, config: Config, writer: Writer) -> None:
        """Raises ConfigError for what is wrong with the files that ``config.mqtt`` names."""
        super().__init__(name="puller")
        jetstream.identity(config.mqtt)
        self.connected = False
        self._config = config
        self._writer = writer
        self._stopping = threading.Event()
        self._in_hand = 0
        self._requested = 0  # number of the request at hand
        self._expected = 0  # messages that it may still bring
        self._problem = ""

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        asyncio.run(self._pull_for_ever())

    async def _pull_for_ever(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        for server in itertools.cycle(self._config.jetstream.servers):
            if self._stopping.is_set():
                return
            try:
                client = await jetstream.connect(self._config.mqtt, server)
            except CloudError as error:
                self._warn(str(error))
                await self._pause(1.0)
                continue
            try:
                await self._pull(client, server)
            except (TimeoutError, nats.errors.Error) as error:
                self._warn(f"{server}: {client.last_error or repr(error)}")
                await self._pause(0.5)
            except Exception:  # a bug; a service that pulls no more would only look well
                _log.exception("pulling stopped and begins again")
                await self._pause(1.0)
            finally:
                self.connected = False
                await client.close()

    async def _pull(self, client: Client, server: str) -> None:
        ensured_at = -_ENSURE_EVERY_S
        inbox = client.new_inbox()
        await client.subscribe(f"{inbox}.*", cb=partial(self._received, client))
        while not self._stopping.is_set() and client.is_connected:
            if time.monotonic() - ensured_at > _ENSURE_EVERY_S:
                await jetstream.ensure(client, self._config.jetstream)
                ensured_at = time.monotonic()
                if not self.connected:
                    self.connected, self._problem = True, ""
                    _log.info("stream connected server=%s", server)
            if self._in_hand >= _IN_HAND:
                await self._pause(_GRACE_S)
                continue
            self._requested += 1
            self._expected = min(_IN_HAND - self._in_hand, self._config.jetstream.max_in_hand)
            wanted = {"batch": self._expected, "expires": int(_EXPIRES_S * 1e9)}
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{jetstream.STREAM}.{self._config.jetstream.consumer}"
            await client.publish(subject, json.dumps(wanted).encode(), f"{inbox}.{self._requested}")
            deadline = time.monotonic() + _EXPIRES_S + _GRACE_S
            while self._expected and client.is_connected and not self._stopping.is_set():
                if time.monotonic() > deadline:
                    ensured_at = -_ENSURE_EVERY_S  # a leader that went, or a stream that is no more
                    break
                await self._pause(1.0)
        if not self._stopping.is_set():
            self._warn(f"{server}: connection lost")

    async def _received(self, client: Client, message: Msg) -> None:
        headers = message.headers or {}
        if _ENDED in headers and not message.data:
            if message.subject.rpartition(".")[2] == str(self._requested):  # not of an earlier request
                self._expected = 0
                self._news.set()
                if headers[_ENDED] not in ("404", "408"):  # no messages, or none in time: as it should be
                    self._warn(f"{headers[_ENDED]} {headers.get('Description', 'no answer')}")
                    await asyncio.sleep(0.5)
            return
        self._in_hand += 1
        self._expected = max(self._expected - 1, 0)
        done = partial(self._done, client, message.reply)
        again = message.metadata.num_delivered > 1
        self._writer.put(Delivery(jetstream.topic_of(message.subject), message.data, done, again))
        if not self._expected:
            self._news.set()

    def _done(self, client: Client, reply: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._acknowledge, client, reply)

    def _acknowledge(self, client: Client, reply: str) -> None:
        self._in_hand -= 1
        self._news.set()
        if client.is_connected:
            self._acknowledging = asyncio.ensure_future(client.publish(reply, b"+ACK"))

    async def _pause(self, seconds: float) -> None:
        """Until there is news, for that long at most."""
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), seconds)

    def _warn(self, problem: str) -> None:
        if problem != self._problem:  # once, not at every attempt
            _log.warning("stream cannot be read: %s; trying again", problem)
        self._problem = problem
