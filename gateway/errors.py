# SPDX-License-Identifier: EUPL-1.2
"""What can go wrong at the gateway. Peers' faults hang on the wire formats' own tree.

RemoteError (decoders)       the peer broke a specification: count it, drop the frame, go on
    MalformedDatagram        problem
    MalformedMessage         problem
    Refused                  reason, a name in metrics.REFUSALS
GatewayError                 what an operator must put right; the message is one clear line
    ConfigError              path, problem
    KeyFileError             path, problem
    DevicesError             problems, one line each
        NoSuchDevice
    PortTaken                what, host, port
    StoreError               problem: the file is locked or damaged
        StoreFull            there is no room
"""

import errno
import os

from decoders.lorawan.errors import RemoteError

_MOST_SHOWN = 20


def shown(value: str) -> str:
    """A wrong value for a message, unless it is so long that it may be a key in the wrong place."""
    return repr(value) if len(value) <= _MOST_SHOWN else f"(of {len(value)} characters)"


class MalformedDatagram(RemoteError):
    """Bytes on the GWMP port that are no GWMP v2 message."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"malformed datagram: {problem}")
        self.problem = problem


class MalformedMessage(RemoteError):
    """A text on a station's connection that is no message of the LNS protocol."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"malformed message: {problem}")
        self.problem = problem


class Refused(RemoteError):
    """A well-formed frame that the network or join server must not accept."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"refused: {reason}")
        self.reason = reason


class GatewayError(Exception):
    """Ends a command with one line and exit status 1."""


class ConfigError(GatewayError):
    """The configuration file cannot be used."""

    def __init__(self, path: object, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class KeyFileError(GatewayError):
    """The key-encryption key cannot be used."""

    def __init__(self, path: object, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


class DevicesError(GatewayError):
    """A devices file, or one device, cannot be stored; nothing of it was."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NoSuchDevice(DevicesError):
    """The registry does not have it."""

    def __init__(self, dev_eui: str) -> None:
        super().__init__([f"dev_eui {shown(dev_eui)} is no device of this gateway"])


class PortTaken(GatewayError):
    """Another program listens where this one should, or the address is not ours."""

    def __init__(self, what: str, section: str, host: str, port: int, cause: OSError) -> None:
        problem = os.strerror(cause.errno).lower() if cause.errno and cause.errno > 0 else cause.strerror or str(cause)
        if cause.errno == errno.EADDRINUSE:
            advice = "stop the other program or change the configuration"
        elif cause.errno in (errno.EACCES, errno.EPERM):
            advice = f"port in [{section}] must be one that this user may open"
        else:
            advice = f"host in [{section}] must be an address of this machine"
        super().__init__(f"{what}: cannot listen on {host}:{port} ({problem}); {advice}")
        self.what = what
        self.host = host
        self.port = port


class StoreError(GatewayError):
    """The database could not be opened or written; nothing of the transaction is stored."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"database: {problem}")
        self.problem = problem


class StoreFull(StoreError):
    """There is no room for the transaction; nothing of it is stored."""
