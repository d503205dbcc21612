# SPDX-License-Identifier: EUPL-1.2
"""What technicians see of the running service: frames by command and on the page, floods; and that no key is there."""

import base64
import json
import random
import re
import urllib.request
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from decoders.records import ALARM, Event, decode_record
from gateway.cli import gateway
from gateway.reception_time import Boot
from simulators.ports import free_port
from tests.gateway.nodes import Concentrator, Node, new_store, tree_payload
from tests.gateway.running import GatewayThread, by_command, eventually, join, send

STRANGER = Node(77)


class Site:
    """A running gateway with one concentrator, and the commands against it."""

    def __init__(self, folder, node, **sections):
        self.folder, self.node = folder, node
        self.config, self.store = new_store(folder, [node, Node(2)], page={"port": free_port()}, **sections)
        self.store.config = self.config

    def run(self, *arguments):
        return CliRunner().invoke(gateway, [*arguments, "--config", str(self.folder / "gateway.toml")])

    def frames(self, dev_eui, *arguments):
        found = self.run("frames", dev_eui, "--json", *arguments)
        assert found.exit_code == 0, found.output
        return [json.loads(line) for line in found.stdout.splitlines()]

    def page(self, path, language="en"):
        token = (self.folder / "page.token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.config.page.port}{path}",
            headers={"Authorization": f"Bearer {token}", "Accept-Language": language},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def post(self, path, form):
        """As a browser does, in German."""
        password = base64.b64encode(b"x:" + (self.folder / "page.token").read_text().strip().encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.config.page.port}{path}", urlencode(form).encode(),
            {"Authorization": f"Basic {password}", "Accept-Language": "de"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def events(self):
        reader = self.store.reader()
        try:
            records = [decode_record(data) for data in reader.records(ALARM, 1, 1000)]
        finally:
            reader.close()
        return [record for record in records if isinstance(record, Event)]


@pytest.fixture
def site(tmp_path, node):
    site = Site(tmp_path, node)
    yield site
    site.store.close()


@pytest.fixture
def store(site):
    return site.store


class TestFrames:
    def test_a_node_from_its_join_to_its_answer(self, site, concentrator, node):
        join(concentrator, node)
        concentrator.push(node.uplink(f_opts=b"\x0d"))
        assert [concentrator.receive()[0] for _ in range(2)] == [3, 1]

        joined, accept, uplink, answer = site.frames(node.dev_eui)

        assert (joined["kind"], joined["refused"], joined["dev_addr"]) == ("join", None, "01000000")
        assert (accept["frame"], accept["window"], accept["concentrator"]) == ("Join-Accept", "RX1", concentrator.eui)
        assert (uplink["f_cnt"], uplink["at"]) == (0, "2026-02-13T06:40:02.500+00:00")
        assert uplink["heard_by"] == [{"concentrator": concentrator.eui, "rssi_dbm": -97.0, "snr_db": 5.0}]
        assert uplink["commands"] == [{"name": "DeviceTimeReq"}]
        assert uplink["readings"][1]["quantity"] == "soil_moisture"
        assert [command["name"] for command in answer["commands"]] == ["DeviceTimeAns"]
        assert answer["sends_at"] == "2026-02-13T06:40:03.500+00:00"

    def test_what_the_concentrator_says_of_a_downlink(self, site, concentrator, node):
        concentrator.push(node.join_request())
        kind, token, body = concentrator.receive()
        assert kind == 3
        node.joined(base64.b64decode(body["txpk"]["data"]))
        head = b"\x02" + token.to_bytes(2, "big") + b"\x05" + bytes.fromhex(concentrator.eui)
        concentrator.send_raw(head + b'{"txpk_ack":{"error":"COLLISION_PACKET"}}')

        def results():
            return [frame["result"] for frame in site.frames(node.dev_eui) if frame["kind"] == "downlink"]

        eventually(lambda: "collision_packet" in results())

    def test_invented_concentrators_push_out_no_counts_of_a_true_one(
        self, service, concentrator, node, monkeypatch
    ):  # fmt: skip
        monkeypatch.setattr("gateway.operations._MOST_CONCENTRATORS", 3)
        join(concentrator, node)

        for number in range(5):
            with Concentrator(service.gwmp_port, f"0016c001ff10c00{number}") as invented:
                send(invented, STRANGER.join_request())

        (true,) = [each for each in service.status()["concentrator_list"] if each["eui"] == concentrator.eui]
        assert (true["accepted"], true["refused"]) == (1, 0)

    def test_copies_are_lines_of_one_frame(self, site, service, concentrator, node):
        join(concentrator, node)
        uplink = node.uplink()
        send(concentrator, uplink)
        with Concentrator(service.gwmp_port, "0016c001ff10b002") as other:
            token = other.push(uplink, rssi=-110, tmms=1_455_000_020_500)
            assert other.receive() == (1, token, None)

        heard = site.run("frames", node.dev_eui).stdout

        assert "DR3 868.300 MHz 25 bytes <- 0016c001ff10b001 -97 dBm SNR 5.0 dB" in heard
        assert "DR3 868.300 MHz 25 bytes <- 0016c001ff10b002 -110 dBm SNR 5.0 dB" in heard
        assert heard.count("uplink f_cnt=0") == 1
        assert heard.endswith("ADR: DR3 tx_power=0 nb_trans=1, SNR margin +17.5 dB, 0/1 frames lost\n")

    def test_a_wrong_key_is_said_in_plain_words(self, site, concentrator, node):
        node.app_key = bytes(16)
        send(concentrator, node.join_request())

        (line, *_) = site.run("frames", node.dev_eui).stdout.splitlines()

        assert line == "2026-02-13 06:39:42Z join refused: MIC wrong: the AppKey of node and gateway differ"

    def test_a_node_that_is_not_registered_is_seen_too(self, site, service, concentrator):
        send(concentrator, Node(77).join_request())

        (frame,) = site.frames(STRANGER.dev_eui)
        strangers = site.run("frames", "--unknown").stdout

        assert frame["refused"] == "unknown_dev_eui"
        assert f"{STRANGER.dev_eui} join refused: this DevEUI is not registered here" in strangers
        assert service.metrics.joins_refused["unknown_dev_eui"] == 1

    def test_a_frame_of_a_lost_session_goes_to_the_node_with_that_address(self, site, concentrator, node):
        join(concentrator, node)
        send(concentrator, node.uplink())
        node.nwk_s_key = bytes(16)
        send(concentrator, node.uplink())

        assert site.frames(node.dev_eui)[-1]["refused"] == "mic_mismatch"

    def test_following_shows_what_comes_once(self, site, service, concentrator, node, monkeypatch):
        join(concentrator, node)
        send(concentrator, node.uplink())
        pauses = []

        def pause(seconds):
            pauses.append(seconds)
            if len(pauses) == 1:
                send(concentrator, node.uplink())
            if len(pauses) > 40 or service._operations.log.frames(node.dev_eui, 1)[0].f_cnt == 1:
                raise KeyboardInterrupt

        monkeypatch.setattr("gateway.frames_cli.time.sleep", pause)
        monkeypatch.setattr("gateway.frame_log._SETTLED_S", 0.0)
        monkeypatch.setattr("gateway.frame_log._GIVEN_UP_S", 0.0)
        first = site.run("frames", node.dev_eui, "--follow", "--json")

        kinds = [json.loads(line)["kind"] for line in first.stdout.splitlines()]
        assert (first.exit_code, kinds) == (0, ["join", "downlink", "uplink"])

    @pytest.mark.parametrize("arguments", [["frames"], ["frames", "70b3d57ed1000001", "--unknown"]])
    def test_whom_to_show_must_be_said(self, site, arguments):
        assert site.run(*arguments).exit_code == 2

    def test_a_dev_eui_that_is_none_is_one_line(self, site, service):
        done = site.run("frames", "linde")

        assert done.exit_code == 1
        assert done.output.endswith(": dev_eui must be 16 hex digits\n")
        assert done.output.count("\n") == 1

    def test_another_token_is_one_line(self, site, service):
        (site.folder / "page.token").write_text("x" * 32)

        done = site.run("frames", "70b3d57ed1000001")

        assert done.exit_code == 1
        assert "wants another token than" in done.output

    def test_without_a_service_it_is_one_line(self, site):
        done = site.run("frames", "70b3d57ed1000001")

        assert done.exit_code == 1
        assert done.output.endswith("is it running?\n")


class TestPages:
    def test_the_overview_shows_nodes_concentrators_and_strangers(self, site, concentrator, node):
        join(concentrator, node)
        send(concentrator, node.uplink())
        send(concentrator, Node(77).join_request())

        english, german = site.page("/"), site.page("/", "de")

        for part in (f"tree of {node.dev_eui}", concentrator.eui, STRANGER.dev_eui, "not registered here"):
            assert part in english
        assert "nie gehört" in german
        assert "Zeiten: Ortszeit (Europe/Berlin)." in german
        assert '<html lang="de">' in german

    def test_the_page_of_a_node_shows_its_frames(self, site, concentrator, node):
        join(concentrator, node)
        send(concentrator, node.uplink())

        page, german = (
            site.page(f"/node?dev_eui={node.dev_eui.upper()}"),
            site.page(f"/node?dev_eui={node.dev_eui}", "de"),
        )

        assert page.index("uplink f_cnt=0") < page.index("join accepted")
        assert "Soil moisture 23.45 %" in page
        assert "Bodenfeuchte 23,45 %" in german
        assert "868,300 MHz" in german
        assert "Join angenommen" in german
        assert f"<h1>tree of {node.dev_eui}</h1>" in page

    def test_the_list_of_devices_counts_up_to_now(self, site, concentrator, node):
        join(concentrator, node)
        send(concentrator, node.uplink())
        node.uplink()
        send(concentrator, node.uplink())

        listed = {row["dev_eui"]: row for row in json.loads(site.run("devices", "list", "--json").stdout)}

        assert (listed[node.dev_eui]["received"], listed[node.dev_eui]["missed"]) == (2, 1)
        assert listed[Node(2).dev_eui]["state"] == "never"

    def test_a_name_is_text_and_nothing_else(self, site, concentrator):
        with by_command(site.config) as ledger:
            ledger.put_device(Node(3).device()._replace(name="<script>alert(1)</script>"))

        assert "<script>" not in site.page("/")

    def test_metrics_of_single_nodes(self, site, concentrator, node):
        join(concentrator, node)
        send(concentrator, node.uplink())
        node.uplink()
        send(concentrator, node.uplink())

        text = site.page("/metrics/nodes")

        assert f'stadtfunk_gateway_node_uplinks{{dev_eui="{node.dev_eui}"}} 2\n' in text
        assert f'stadtfunk_gateway_node_missed_uplinks{{dev_eui="{node.dev_eui}"}} 1\n' in text
        assert f'stadtfunk_gateway_node_up{{dev_eui="{node.dev_eui}"}} 1\n' in text
        assert f'stadtfunk_gateway_concentrator_accepted{{eui="{concentrator.eui}"}} 3\n' in site.page("/metrics")

    def test_no_key_and_no_plain_payload_that_is_not_ours_is_anywhere(self, site, concentrator, node):
        join(concentrator, node)
        send(concentrator, node.uplink(b"another's secret", f_port=99))
        paths = ("/", f"/node?dev_eui={node.dev_eui}", f"/frames?dev_eui={node.dev_eui}", "/strangers",
                 "/metrics/nodes", "/status", "/metrics")  # fmt: skip

        shown = "".join(map(site.page, paths)).lower()

        for secret in (node.app_key, node.nwk_s_key, node.app_s_key, b"another's secret", tree_payload()):
            assert secret.hex() not in shown
        assert "another's secret" not in shown


class TestDownlinks:
    def held(self, site):
        rows = site.store.connection.execute("SELECT command_id, f_port, frm_payload, confirmed FROM downlinks")
        return rows.fetchall()

    def test_one_is_queued_by_command_once(self, site, service, node):
        asked = ["downlink", node.dev_eui, "21", "0102FF", "--confirmed", "--id", "valve-1"]

        first, again = site.run(*asked), site.run(*asked)

        assert (first.exit_code, first.output, again.output) == (0, "queued valve-1\n", "queued valve-1\n")
        assert self.held(site) == [("valve-1", 21, b"\x01\x02\xff", 1)]

    @pytest.mark.parametrize(
        ("ended", "german"),
        [
            ("sent", "bereits gesendet"), ("acknowledged", "bereits bestätigt"), ("failed", "fehlgeschlagen"),
            ("expired", "abgelaufen"),
        ],
    )  # fmt: skip
    def test_one_that_has_ended_is_answered_with_that_and_not_queued(self, site, service, node, ended, german):
        asked = {"dev_eui": node.dev_eui, "f_port": "21", "payload": "0a", "hours": "1", "id": "valve-1"}
        site.run("downlink", node.dev_eui, "21", "0a", "--id", "valve-1")
        with by_command(site.config) as ledger:
            ledger._db.execute("DELETE FROM downlinks")
            ledger._db.execute("UPDATE commands SET ended = ?", (ended,))
        key = re.search('name="key" value="([0-9a-f]+)"', site.page("/downlink"))[1]

        by_page = site.post("/downlink", {"key": key, **asked})
        by_command_line = site.run("downlink", node.dev_eui, "21", "0a", "--id", "valve-1")

        assert german in by_page
        assert (by_command_line.exit_code, by_command_line.output) == (0, f"{ended} valve-1\n")
        assert self.held(site) == []

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["70b3d57ed1000099", "21", "01"], "Error: refused: unknown_dev_eui\n"),
            (["70b3d57ed1000001", "0", "01"], "f_port must be 1 to 223\n"),
            (["70b3d57ed1000001", "21", "01" * 52], "payload must be lower-case hex, at most 51 bytes\n"),
            (["linde", "21", "01"], "dev_eui must be 16 lower-case hex digits\n"),
            (["70b3d57ed1000001", "21", "01", "--hours", "nan"], "hours must be more than 0, and at most 720\n"),
            (
                ["70b3d57ed1000001", "21", "01", "--id", "ventil-süd"],
                "id must be 1 to 64 letters, digits or any of _.:-\n",
            ),
            (["70b3d57ed1000001", "21", "01", "--id", "a b"], "id must be 1 to 64 letters, digits or any of _.:-\n"),
        ],
    )
    def test_a_mistake_is_one_line_and_nothing_is_queued(self, site, service, arguments, says):
        done = site.run("downlink", *arguments)

        assert done.exit_code == 1
        assert done.output.endswith(says)
        assert done.output.count("\n") == 1
        assert self.held(site) == []

    def test_the_form_of_the_page_sends_what_it_says(self, site, service, node):
        page = site.page(f"/downlink?dev_eui={node.dev_eui}", "de")
        key = re.search('name="key" value="([0-9a-f]+)"', page)[1]
        names = set(re.findall('name="([a-z_]+)"', page)) - {"viewport"}
        form = {"key": key, "dev_eui": node.dev_eui, "f_port": "2", "payload": "0A", "hours": "1", "confirmed": "true"}
        assert names == form.keys()

        answer = site.post("/downlink", form)

        assert "in der Warteschlange" in answer
        assert [row[1:] for row in self.held(site)] == [(2, b"\x0a", 1)]

    def test_a_name_from_the_address_is_text_and_nothing_else(self, site, service):
        assert "<script>" not in site.page("/downlink?dev_eui=%22%3E%3Cscript%3E")


class Paced:
    """Seconds since a boot that go on only as fast as the service looks at them, however slow the machine is."""

    def __init__(self):
        self._now_s, self._seen = 0.0, True

    def seconds(self):
        self._seen = True
        return self._now_s

    def go_on(self, seconds):
        if self._seen:
            self._seen = False
            self._now_s += seconds


class TestSilence:
    def test_a_node_that_falls_silent_is_an_event_of_the_running_service(self, tmp_path, node, monkeypatch):
        monkeypatch.setattr("gateway.operations._REFRESH_S", 0.01)
        monkeypatch.setattr("gateway.operations.TICK_S", 0.0)
        clock = Paced()
        site = Site(tmp_path, node, downlinks={"virtual_time": False})
        node.dev_addr, node.nwk_s_key, node.app_s_key = 0x01000000, bytes(range(16)), bytes(range(1, 17))
        with site.store.transaction() as ledger:
            ledger.record_join(node.dev_eui, 0, 1, node.dev_addr, node.nwk_s_key, node.app_s_key)
            ledger.set_interval(node.dev_eui, 20.0)
        with (
            GatewayThread(site.config, site.store, boot=Boot("a boot", clock.seconds)) as running,
            Concentrator(running.gwmp_port) as concentrator,
        ):
            concentrator.pull()

            def events():
                concentrator.pull()
                clock.go_on(5.0)
                return [event.kind for event in site.events()]

            send(concentrator, node.uplink())
            eventually(lambda: "node_down" in events())
            send(concentrator, node.uplink())
            eventually(lambda: "node_back" in events())
            told = [event for event in site.events() if event.kind.startswith("node")]
            page = site.page("/")
        site.store.close()

        assert [event.kind for event in told[:3]] == ["node_late", "node_down", "node_back"]
        assert {event.dev_eui for event in told} == {node.dev_eui}
        assert told[1].detail["interval_s"] == 20
        assert told[1].detail["silent_s"] >= 120
        assert node.dev_eui in page


class TestFloods:
    def test_one_is_cheap_and_counted_and_told_once_and_hinders_no_node(self, site, service, concentrator, node):
        dice = random.Random(20261122)
        commits = service._writer.commits
        for _ in range(15):
            flood = [Node(dice.randrange(1000, 1 << 20)).join_request() for _ in range(20)]
            send(concentrator, *flood, tmms=1_455_000_000_500)
        join(concentrator, node)

        assert node.dev_addr == 0x01000000
        refused = service.metrics.joins_refused
        assert refused["unknown_dev_eui"] + refused["join_flood_unknown"] == 300
        assert refused["join_flood_unknown"] >= 240
        assert service._writer.commits - commits < 60
        (began,) = eventually(site.events)
        assert (began.kind, began.detail["state"], began.dev_eui) == ("join_flood", "began", None)
        assert began.detail["concentrators"] == concentrator.eui
        assert service.status()["join_flood"] == 1

    def test_at_the_stop_it_has_ended(self, site, node):
        with GatewayThread(site.config, site.store) as running, Concentrator(running.gwmp_port) as concentrator:
            for _ in range(10):
                send(concentrator, *(Node(n).join_request() for n in range(1000, 1020)), tmms=1_455_000_000_500)

        assert [event.detail["state"] for event in site.events()] == ["began", "ended"]

    def test_an_imported_device_may_join_at_once_while_the_service_runs(self, site, concentrator):
        with by_command(site.config) as ledger:
            ledger.put_device(Node(5).device())

        join(concentrator, Node(5))
