# SPDX-License-Identifier: EUPL-1.2
"""What the event loop reports beside all tasks. That it is out of file handles for true: test_half_open.py."""

import asyncio
import errno
import logging

import pytest

from gateway.loop_errors import LoopErrors


@pytest.fixture
def report(caplog):
    """Reports errors one after another; returns (level, message, whether with a traceback) of what is logged."""

    async def main(errors, seconds_apart):
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(LoopErrors())
        now, began = loop.time, loop.time()
        for number, error in enumerate(errors):
            loop.time = lambda number=number: began + number * seconds_apart
            loop.call_exception_handler({"message": "something has happened", "exception": error})
        loop.time = now

    def report(*errors, seconds_apart=0.01):
        with caplog.at_level(logging.DEBUG):
            asyncio.run(main(errors, seconds_apart))
        records = [record for record in caplog.records if "selector" not in record.getMessage()]
        return [(record.levelname, record.getMessage(), bool(record.exc_info)) for record in records]

    return report


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_out_of_something_is_one_line_however_often(report, number):
    """errno(3): what accept(2) may lack."""
    why = OSError(number, "why").strerror

    assert report(*[OSError(number, "why")] * 100) == [("WARNING", f"no connection can be accepted: {why}", False)]


def test_it_is_said_again_after_a_minute(report):
    assert len(report(*[OSError(errno.EMFILE, "why")] * 4, seconds_apart=31)) == 2


def test_what_a_peer_has_done_is_for_the_curious(report):
    assert report(ConnectionResetError(errno.ECONNRESET, "gone")) == [
        ("DEBUG", "something has happened: [Errno 104] gone", False)
    ]


def test_a_bug_keeps_its_traceback(report):
    ((level, message, has_traceback),) = report(ZeroDivisionError())

    assert (level, has_traceback) == ("ERROR", True)
    assert "something has happened" in message
