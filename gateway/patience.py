# SPDX-License-Identifier: EUPL-1.2
"""How long to wait for an answer before asking again, learnt from how long answers took, as TCP does it.

RFC 6298 "The Basic Algorithm". Never below a floor, nor above twelve times that: with the usual floor of 5 s the upper
bound is the 60 s that the RFC asks for at least.
"""

_CEILING = 12
_GRANULARITY_S = 0.1  # RFC 6298: G
_ALPHA, _BETA, _K = 1 / 8, 1 / 4, 4


class Patience:
    """The retransmission time-out (RTO) of one way there and back, in seconds."""

    def __init__(self, floor_s: float) -> None:
        self._floor_s = floor_s
        self._ceiling_s = _CEILING * floor_s
        self._srtt_s: float | None = None
        self._rttvar_s = 0.0
        self.seconds = floor_s

    @property
    def learnt_s(self) -> float:
        """What it is without the doubling."""
        if self._srtt_s is None:
            return self._floor_s
        return self._bounded(self._srtt_s + max(_GRANULARITY_S, _K * self._rttvar_s))

    def took(self, rtt_s: float) -> None:
        """An answer took so long, to something that was sent only once (Karn's rule)."""
        rtt_s = min(rtt_s, self._ceiling_s)  # after an outage: more is not waited for, and would be remembered long
        if self._srtt_s is None:
            self._srtt_s, self._rttvar_s = rtt_s, rtt_s / 2
        else:
            self._rttvar_s += _BETA * (abs(self._srtt_s - rtt_s) - self._rttvar_s)
            self._srtt_s += _ALPHA * (rtt_s - self._srtt_s)
        self.seconds = self.learnt_s

    def expired(self) -> None:
        """No answer in that time: wait twice as long the next time (RFC 6298 5.5)."""
        self.seconds = self._bounded(2 * self.seconds)

    def answered(self) -> None:
        """Somebody is there, whatever it answers to: no more doubling."""
        self.seconds = self.learnt_s

    def _bounded(self, seconds: float) -> float:
        return min(max(seconds, self._floor_s), self._ceiling_s)
