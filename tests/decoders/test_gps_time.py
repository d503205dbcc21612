# SPDX-License-Identifier: EUPL-1.2
"""GPS seconds and Unix seconds."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from decoders.lorawan.gps_time import gps_from_unix, unix_from_gps


def test_gps_is_18_s_ahead_of_utc():
    # 2023-01-06 is 43 years of 365 days, 11 leap days and 18 leap seconds after the epoch
    assert unix_from_gps(1_356_998_418) == datetime(2023, 1, 6, tzinfo=UTC).timestamp()


def test_integers_stay_integers():
    assert isinstance(unix_from_gps(1_356_998_418), int)
    assert isinstance(gps_from_unix(1_672_963_200.5), float)


@given(st.integers(1_167_264_018, 2**32 - 1))
def test_there_and_back(gps_s):
    assert gps_from_unix(unix_from_gps(gps_s)) == gps_s
