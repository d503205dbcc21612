# SPDX-License-Identifier: EUPL-1.2
"""Payloads that nobody could read: listed, shown, and decoded again with the times of then."""

import pytest
from click.testing import CliRunner

from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload import Field
from decoders.payload_encoder import encode
from decoders.profiles import BY_F_PORT
from decoders.records import UplinkKey
from gateway.cli import gateway
from gateway.command import open_database
from gateway.config import load
from gateway.readings import keep
from gateway.reception_time import Moment
from gateway.store import Payload
from tests.gateway.nodes import Concentrator, Node, uplinks_in, write_config
from tests.gateway.running import GatewayThread, eventually, join, send

GPS_S = 1_455_000_000
UNIX_S = 1_770_964_782  # gateway/test: 2026-02-13T06:39:42Z
KEY = UplinkKey("70b3d57ed1000001", 3, 7)
NEWER = TREE._replace(version=3, fields=(*TREE.fields, Field("sap_flow", "1", 1, 0, 1, 8)))


class Broken(type(TREE)):
    def present(self, mask):
        raise RecursionError("maximum recursion depth exceeded")


def tree(moisture, layout=TREE, **others):
    mask, raws = layout.raws({"soil_moisture": moisture, **others})
    return encode(layout, mask, [(GPS_S, raws)])


@pytest.fixture
def store(config):
    store = open_database(load(config))
    yield store
    store.close()


@pytest.fixture
def run(config):
    def run(*arguments):
        result = CliRunner().invoke(gateway, ["quarantine", *map(str, arguments), "--config", str(config)])
        return result.exit_code, result.output

    return run


def keep_one(store, data, f_cnt=7, f_port=TREE.f_port, at=float(UNIX_S), quality="ntp", profile="tree"):
    with store.transaction() as ledger:
        return keep(ledger, Payload(KEY._replace(f_cnt=f_cnt), f_port, profile, data), Moment(at, quality))


def messages(store):
    return [
        (one.key.f_cnt, one.received_at, one.time_quality, [(r.quantity, r.at, r.value) for r in one.readings])
        for one in uplinks_in(store)
    ]


class TestRetry:
    """Issue 6, "Poison safe": what is kept raw can be decoded again later."""

    def test_after_a_decoder_was_put_right_the_reading_goes_on_with_its_time_of_then(self, store, run, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setitem(BY_F_PORT, TREE.f_port, Broken(*TREE))
            problem = keep_one(store, tree(2345), quality="concentrator")
            before = run("retry")

        assert (problem, before) == ("decoder_failed", (0, "0 decoded, 1 decoder_failed\n"))
        assert run("retry", "--problem", "decoder_failed") == (0, "1 decoded\n")
        assert messages(store) == [(7, UNIX_S, "concentrator", [("soil_moisture", UNIX_S, 23.45)])]
        assert store.ledger.quarantined() == []

    def test_of_newer_fields_all_goes_once_more_as_soon_as_the_table_has_them(self, store, run, monkeypatch):
        keep_one(store, tree(2345, NEWER, sap_flow=12))
        unread = run("retry")
        monkeypatch.setitem(BY_F_PORT, TREE.f_port, TREE._replace(fields=(*TREE.fields, TREE.fields[0]._replace(
            name="air_temperature", unit="Cel", per_unit=1, low=0, step=1, bits=8
        ))))  # fmt: skip
        read = run("retry", "--problem", "newer_fields")

        assert (unread, read) == ((0, "0 decoded, 1 newer_fields\n"), (0, "1 decoded\n"))
        assert messages(store) == [
            (7, UNIX_S, "ntp", [("soil_moisture", UNIX_S, 23.45)]),
            (7, UNIX_S - 0.001, "ntp", [("soil_moisture", UNIX_S, 23.45), ("air_temperature", UNIX_S, 12.0)]),
        ]

    def test_a_device_that_was_registered_with_a_wrong_profile(self, store, run):
        keep_one(store, tree(2345), profile="air")
        wrong = run("retry")
        with store.transaction() as ledger:
            ledger.put_device(Node().device("tree"))

        assert wrong == (0, "0 decoded, 1 other_profile\n")
        assert run("retry") == (0, "1 decoded\n")
        assert [f_cnt for f_cnt, *_ in messages(store)] == [7]

    def test_only_one_of_them(self, store, run, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setitem(BY_F_PORT, TREE.f_port, Broken(*TREE))
            for f_cnt in range(3):
                keep_one(store, tree(2000 + f_cnt), f_cnt)

        assert run("retry", 2) == (0, "1 decoded\n")
        assert [f_cnt for f_cnt, *_ in messages(store)] == [1]
        assert run("retry", 2) == (1, "Error: there is no 2 in quarantine\n")

    def test_several_transactions_of_them_keep_their_order(self, store, run, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setitem(BY_F_PORT, TREE.f_port, Broken(*TREE))
            for f_cnt in range(230):
                keep_one(store, tree(2000), f_cnt)
        keep_one(store, b"", 230)

        assert run("retry") == (0, "230 decoded, 1 malformed_payload\n")
        assert [f_cnt for f_cnt, *_ in messages(store)] == list(range(230))

    def test_it_pushes_nothing_out_of_a_full_outbox(self, tmp_path, store, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setitem(BY_F_PORT, TREE.f_port, Broken(*TREE))
            keep_one(store, tree(2345))
        small = write_config(tmp_path, store={"cap_mb": 1})
        with store.transaction() as ledger:
            ledger.append_encoded(1, bytes(range(256)) * 4)
        store.connection.execute("UPDATE lanes SET bytes = 1048576 WHERE lane = 1")

        result = CliRunner().invoke(gateway, ["quarantine", "retry", "--config", str(small)])

        assert (result.exit_code, result.output) == (
            1, "Error: database: the outbox is full; try again when the cloud has taken some of it\n"
        )  # fmt: skip

    def test_nor_does_the_last_that_finds_room(self, tmp_path, store, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setitem(BY_F_PORT, TREE.f_port, Broken(*TREE))
            keep_one(store, tree(2345))
        keep_one(store, tree(1000), 8)
        small = write_config(tmp_path, store={"cap_mb": 1})
        store.connection.execute("UPDATE lanes SET bytes = 1048575 WHERE lane = 1")

        result = CliRunner().invoke(gateway, ["quarantine", "retry", "--config", str(small)])

        assert result.output == "1 decoded\n"
        assert [f_cnt for f_cnt, *_ in messages(store)] == [8, 7]


class TestListAndShow:
    def test_a_line_each_and_all_that_is_known_of_one(self, store, run):
        keep_one(store, bytes.fromhex("0102"), 7, at=UNIX_S + 0.5)
        keep_one(store, b"\x01", 8, f_port=99, quality="saved")

        assert run("list") == (
            0,
            "1 2026-02-13T06:39:42Z 70b3d57ed1000001 f_cnt=7 f_port=3 malformed_payload\n"
            "2 2026-02-13T06:39:42Z 70b3d57ed1000001 f_cnt=8 f_port=99 no_layout\n",
        )
        assert run("list", "--problem", "no_layout")[1].startswith("2 ")
        assert "detail length: need 4, got 2\n" in run("show", 1)[1]
        assert run("show", 1)[1].endswith("payload 0102\n")
        assert "time_quality saved\n" in run("show", 2)[1]

    def test_what_is_not_there_is_one_line(self, store, run):
        assert run("show", 5) == (1, "Error: there is no 5 in quarantine\n")
        for words in (("show", "9" * 23), ("retry", "9" * 23), ("show", 0)):
            assert run(*words)[0] == 2


class TestBesideTheService:
    """A payload whose decoder has a bug holds up nothing, and is decoded again while the service runs."""

    def test_what_came_before_and_after_it_is_on_its_way_and_it_follows(self, config, store, run, monkeypatch):
        node = Node()
        with store.transaction() as ledger:
            ledger.put_device(node.device())
        with GatewayThread(load(config), store) as service, Concentrator(service.gwmp_port) as concentrator:
            concentrator.pull()
            join(concentrator, node)
            send(concentrator, node.uplink(tree(1000), f_port=3))
            with monkeypatch.context() as broken:
                broken.setitem(BY_F_PORT, TREE.f_port, Broken(*TREE))
                send(concentrator, node.uplink(tree(2000), f_port=3))
            send(concentrator, node.uplink(tree(3000), f_port=3))
            eventually(lambda: len(messages(store)) == 2)
            refused = dict(service.metrics.refused)
            answer = run("retry")
            send(concentrator, node.uplink(tree(4000), f_port=3))
            eventually(lambda: len(messages(store)) == 4)

        assert {reason: count for reason, count in refused.items() if count} == {"decode_failed": 1}
        assert answer == (0, "1 decoded\n")
        assert [(f_cnt, readings[0][2]) for f_cnt, _, _, readings in messages(store)] == [
            (0, 10.0), (2, 30.0), (1, 20.0), (3, 40.0)
        ]  # fmt: skip
