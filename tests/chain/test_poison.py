# SPDX-License-Identifier: EUPL-1.2
"""What an update of the decoders reads in the gateway's quarantine reaches the cloud's store."""

import pytest

from decoders.layouts.tree import LAYOUT as TREE
from decoders.payload_encoder import encode
from decoders.profiles import BY_F_PORT
from decoders.records import READING, UplinkKey
from decoders.uplink import Batch, encode_batch
from gateway.config import StoreSection
from gateway.quarantine import retry
from gateway.readings import keep
from gateway.reception_time import Moment
from gateway.store import Payload, open_store
from tests.cloud_ingest.world import GATEWAY, NODES, START, UP, observations, opened

GPS_S = START - 315_964_800 + 18  # IS-GPS-200 "GPS Time", less 18 leap seconds
OLDER = TREE._replace(fields=TREE.fields[:1])


@pytest.fixture
def gateway(tmp_path):
    store = open_store(tmp_path / "gateway.sqlite3", tmp_path / "gateway.key")
    yield store
    store.close()


@pytest.fixture
def cloud(tmp_path):
    store, ingest = opened(tmp_path / "cloud.db")
    yield store, ingest
    store.close()


def send(gateway, ingest):
    """All that the outbox holds, as one batch; again what was sent before."""
    reader = gateway.reader()
    records = reader.messages(1, 100)
    reader.close()
    ingest.apply(UP, encode_batch(Batch(GATEWAY, 1, READING, 1, 1, None, records)))


def test_fields_that_were_too_new_are_added_to_the_same_uplink(gateway, cloud, monkeypatch):
    store, ingest = cloud
    first, second = TREE.fields[:2]
    mask, raws = TREE.raws({first.name: first.value(100), second.name: second.value(50)})
    payload = Payload(UplinkKey(NODES[0], 3, 7), TREE.f_port, "tree", encode(TREE, mask, [(GPS_S, raws)]))
    with monkeypatch.context() as before:
        before.setitem(BY_F_PORT, TREE.f_port, OLDER)
        with gateway.transaction() as ledger:
            keep(ledger, payload, Moment(START + 0.5, "ntp"))
    send(gateway, ingest)
    known = len(observations(store))

    retried = retry(gateway, StoreSection())
    send(gateway, ingest)

    assert (known, retried.decoded) == (1, 1)
    assert store.db.execute("SELECT DISTINCT at FROM observations").fetchall() == [(START,)]
    assert len(observations(store)) == 2
