# SPDX-License-Identifier: EUPL-1.2
"""Records as they lie on the card."""

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.records import UplinkKey, UplinkMessage, encode_record
from decoders.senml import Reading
from gateway import packing
from gateway.packing import pack, unpack

T = 1_795_334_400
RECORD = encode_record(
    UplinkMessage(
        UplinkKey("70b3d57ed1000001", 4_503_599_627_370_497, 70_000),
        T + 2.25,
        "tree",
        tuple(
            Reading(name, unit, T - age, value, None)
            for age in (0, 3600, 7200)
            for name, unit, value in (
                ("soil_moisture", "%", 23.45),
                ("soil_temperature", "Cel", 12.31),
                ("surface_temperature", "Cel", 15.02),
                ("battery_voltage", "V", 3.61),
            )
        ),
        "concentrator",
    )
)


@given(st.binary(max_size=3000) | st.just(RECORD))
def test_what_is_packed_unpacks_to_the_same(record):
    assert unpack(pack(record)) == record


@given(st.binary(max_size=300))
def test_any_bytes_give_a_record_or_value_error(data):
    with suppress(ValueError):
        unpack(data)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_noticed(place, change):
    stored = bytearray(pack(RECORD))
    stored[place % len(stored)] ^= change

    with pytest.raises(ValueError, match=r"."):
        assert unpack(bytes(stored)) != RECORD


def test_a_record_of_twelve_readings_takes_a_third_of_its_bytes():
    assert len(RECORD) > 450
    assert len(pack(RECORD)) < 150


def test_the_first_dictionary_stays_what_it_is():
    """Cards in the field are full of records that only this one opens."""
    digest = hashlib.sha256(packing._DICTIONARY).hexdigest()

    assert digest == "d007ccf5fac1d50a18875d523e7124d75ac272e9938e098fa2ab38b5d5bc479c"
