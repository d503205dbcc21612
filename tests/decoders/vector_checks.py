# SPDX-License-Identifier: EUPL-1.2
"""One check per kind of vector in vectors/*.json: pytest and the real MicroPython run the same code."""

from decoders.faults import MalformedPayload
from decoders.lorawan import aes, airtime, mac_commands, region
from decoders.lorawan.errors import FieldRange, MalformedFrame, MicMismatch
from decoders.lorawan.frame import (
    DataFrame,
    Fhdr,
    JoinAccept,
    JoinRequest,
    derive_session_keys,
    m_type,
    verify_data,
    verify_join_request,
)
from decoders.payload_v1 import TREE_V1

_hex = bytes.fromhex


def raised(error, function, *arguments):
    """The error of class ``error`` that the call raises."""
    try:
        function(*arguments)
    except error as caught:
        return caught
    raise AssertionError("nothing raised")


def flipped(data, bit):
    """``data`` with one bit the other way round."""
    return bytes([byte ^ (1 << bit % 8) if i == bit // 8 else byte for i, byte in enumerate(data)])


def check_cmac(v):
    assert aes.cmac(_hex(v["key"]), _hex(v["message"])).hex() == v["mac"]


def check_blocks(v):
    assert aes.encrypt_block(_hex(v["key"]), _hex(v["plain"])).hex() == v["cipher"]
    assert aes.decrypt_block(_hex(v["key"]), _hex(v["cipher"])).hex() == v["plain"]


def check_join_requests(v):
    app_key = _hex(v["app_key"])
    phy_payload = _hex(v["phy_payload"])
    request = JoinRequest(v["join_eui"], v["dev_eui"], v["dev_nonce"])

    assert m_type(phy_payload) == 0
    assert JoinRequest.parse(phy_payload) == request
    assert request.serialize(app_key) == phy_payload
    verify_join_request(phy_payload, app_key)
    raised(MicMismatch, verify_join_request, flipped(phy_payload, 77), app_key)
    assert raised(MalformedFrame, JoinRequest.parse, phy_payload[:-1]).got == 22


def check_join_accepts(v):
    app_key = _hex(v["app_key"])
    phy_payload = _hex(v["phy_payload"])
    accept = JoinAccept(
        v["join_nonce"], v["net_id"], v["dev_addr"], v["dl_settings"], v["rx_delay"], _hex(v["cf_list"])
    )

    assert JoinAccept.parse(phy_payload, app_key) == accept
    assert accept.serialize(app_key) == phy_payload
    raised(MicMismatch, JoinAccept.parse, flipped(phy_payload, 100), app_key)
    keys = derive_session_keys(app_key, v["join_nonce"], v["net_id"], v["dev_nonce"])
    assert keys == (_hex(v["nwk_s_key"]), _hex(v["app_s_key"]))


def check_data(v):
    nwk_s_key, app_s_key = _hex(v["nwk_s_key"]), _hex(v["app_s_key"])
    phy_payload = _hex(v["phy_payload"])
    fhdr = Fhdr(v["dev_addr"], v["f_ctrl"], v["f_cnt32"] & 0xFFFF, _hex(v["f_opts"]))

    parsed = DataFrame.parse(phy_payload)

    assert (parsed.m_type, parsed.fhdr, parsed.f_port) == (v["m_type"], fhdr, v["f_port"])
    assert parsed.decrypt(nwk_s_key, app_s_key, v["f_cnt32"]).hex() == v["plain"]
    verify_data(phy_payload, nwk_s_key, v["f_cnt32"])
    raised(MicMismatch, verify_data, phy_payload, nwk_s_key, v["f_cnt32"] ^ 0x10000)
    raised(MicMismatch, verify_data, flipped(phy_payload, 8 * len(phy_payload) - 1), nwk_s_key, v["f_cnt32"])
    plain = DataFrame(v["m_type"], fhdr, v["f_port"], _hex(v["plain"]))
    assert plain.serialize(nwk_s_key, app_s_key, v["f_cnt32"]) == phy_payload


def check_lists(v):
    parse = mac_commands.parse_uplink if v["direction"] == "up" else mac_commands.parse_downlink
    assert parse(_hex(v["data"])) == [(cid, _hex(payload)) for cid, payload in v["commands"]]


def check_device_time(v):
    answer = _hex(v["data"])
    assert mac_commands.device_time_ans(v["gps_s"], v["fraction_256"]) == answer
    assert mac_commands.parse_device_time_ans(answer[1:]) == (v["gps_s"], v["fraction_256"])


def check_link_check(v):
    answer = _hex(v["data"])
    assert mac_commands.link_check_ans(v["margin_db"], v["gateway_count"]) == answer
    assert mac_commands.parse_link_check_ans(answer[1:]) == (v["margin_db"], v["gateway_count"])


def check_airtime(v):
    assert (
        airtime.time_on_air_us(
            v["phy_length"],
            v["sf"],
            v["bandwidth_hz"],
            crc=v["crc"],
            preamble=v["preamble"],
            implicit_header=v["implicit_header"],
            coding_rate=v["coding_rate"],
        )
        == v["us"]
    )


def check_rx1_dr(v):
    assert [region.EU868.rx1_dr(v["up_dr"], offset) for offset in range(6)] == v["by_offset"]


def check_cf_lists(v):
    assert region.parse_cf_list(_hex(v["cf_list"])) == tuple(v["frequencies_hz"])
    assert region.cf_list(tuple(v["frequencies_hz"])).hex() == v["cf_list"]


def check_sub_bands(v):
    band = region.EU868.sub_band(v["frequency_hz"])
    assert (band.duty_permille, band.max_erp_dbm) == (v["duty_permille"], v["max_erp_dbm"])


def check_payloads(v):
    """A field in the vector is [what the node gives, what the gateway gets]."""
    layout = {"tree": TREE_V1}[v["layout"]]
    sent = [(time, {name: pair[0] for name, pair in fields.items()}) for time, fields in v["samples"]]

    assert layout.encode({name: pair[0] for name, pair in v["header"].items()}, sent) == _hex(v["payload"])

    message = layout.decode(_hex(v["payload"]))
    assert layout.samples_that_fit(len(_hex(v["payload"]))) == len(v["samples"])
    _same_fields(message.header, message.header_faults, v["header"])
    assert len(message.samples) == len(v["samples"])
    for sample, (time, fields) in zip(message.samples, v["samples"]):  # noqa: B905 - MicroPython has no strict
        assert sample.time == time
        _same_fields(sample.values, sample.faults, fields)


def _same_fields(values, faults, expected):
    assert values == {name: pair[1] for name, pair in expected.items()}
    assert faults == {name: pair[0] for name, pair in expected.items() if pair[1] is None}


def check_malformed(v):
    error = raised(MalformedPayload, {"tree": TREE_V1}[v["layout"]].decode, _hex(v["payload"]))
    assert (error.field, error.need, error.got) == (v["field"], v["need"], v["got"])


def check_refused(v):
    """A value that must not be sent: ``struct`` on MicroPython would cut it off in silence."""
    layout = {"tree": TREE_V1}[v["layout"]]
    samples = [(time, dict(fields)) for time, fields in v["samples"]]
    assert raised(FieldRange, layout.encode, v["header"], samples).field == v["field"]


CHECKS = {
    "cmac": check_cmac,
    "blocks": check_blocks,
    "join_requests": check_join_requests,
    "join_accepts": check_join_accepts,
    "data": check_data,
    "lists": check_lists,
    "device_time": check_device_time,
    "link_check": check_link_check,
    "airtime": check_airtime,
    "rx1_dr": check_rx1_dr,
    "cf_lists": check_cf_lists,
    "sub_bands": check_sub_bands,
    "payloads": check_payloads,
    "malformed": check_malformed,
    "refused": check_refused,
}
