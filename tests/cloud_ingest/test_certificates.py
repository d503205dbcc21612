# SPDX-License-Identifier: EUPL-1.2
"""The authority: what it issues by RFC 5280, and what it refuses. Brokers judge it in gateway/test_broker_tls.py."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from cloud_ingest.certificates import Authority
from cloud_ingest.cli import ingest
from cloud_ingest.errors import CertificateError

EUI = "0016c001ff10a001"
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "certificates", NOW)
    made.init()
    return made


def certificate(authority: Authority, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((authority.folder / f"{name}.pem").read_bytes())


def openssl(*words: str, folder: Path) -> str:
    return subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


class TestCertificates:
    def test_openssl_takes_each_for_its_purpose_and_no_gateway_for_a_broker(self, authority):
        authority.issue_broker(["broker.example", "192.0.2.7"])
        authority.issue_gateway(EUI)
        check = ["verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), "-CAfile", "ca.pem", "-purpose"]

        assert openssl(*check, "sslserver", "broker.pem", folder=authority.folder) == "broker.pem: OK\n"
        for file in ("broker.pem", f"{EUI}.pem"):  # nodes of a cluster are each other's clients
            assert openssl(*check, "sslclient", file, folder=authority.folder) == f"{file}: OK\n"
        with pytest.raises(subprocess.CalledProcessError):
            openssl(*check, "sslserver", f"{EUI}.pem", folder=authority.folder)

    def test_a_gateway_is_named_by_its_eui_and_by_nothing_else(self, authority):
        authority.issue_gateway(EUI)

        made = certificate(authority, EUI)
        assert made.subject.rfc4514_string() == f"CN={EUI}"
        assert made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value == x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        with pytest.raises(x509.ExtensionNotFound):  # nats-server would take such a name for the user's
            made.extensions.get_extension_for_class(x509.SubjectAlternativeName)

    def test_the_broker_has_all_its_names(self, authority):
        authority.issue_broker(["broker.example", "192.0.2.7", "2001:db8::7"])

        names = certificate(authority, "broker").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name.value) for name in names] == ["broker.example", "192.0.2.7", "2001:db8::7"]

    def test_every_certificate_ends(self, authority):
        authority.issue_ingest()
        authority.issue_gateway(EUI, days=90)

        assert {issued.name: f"{issued.expires:%Y-%m-%d}" for issued in authority.issued()} == {
            EUI: "2026-09-29",
            "ca": "2046-06-26",
            "ingest": "2028-06-30",
            "ingest-alarm": "2028-06-30",
            "ingest-diagnostic": "2028-06-30",
        }

    def test_keys_are_for_their_owner_only(self, authority):
        authority.issue_gateway(EUI)
        authority.issue_broker(["localhost"])

        modes = {path.name: path.stat().st_mode & 0o777 for path in authority.folder.glob("*.key")}
        assert modes == {"ca.key": 0o600, "broker.key": 0o600, f"{EUI}.key": 0o600}
        assert authority.folder.stat().st_mode & 0o777 == 0o700


class TestRenewal:
    """The same command again."""

    def test_the_key_stays_and_the_end_moves(self, authority):
        authority.issue_gateway(EUI, days=30)
        key = (authority.folder / f"{EUI}.key").read_bytes()
        later = Authority(authority.folder, datetime(2026, 7, 25, tzinfo=UTC))

        issued = later.issue_gateway(EUI, days=30)

        assert f"{issued.expires:%Y-%m-%d}" == "2026-08-24"
        assert (authority.folder / f"{EUI}.key").read_bytes() == key

    def test_a_renewed_authority_still_vouches_for_what_it_has_issued(self, authority):
        authority.issue_ingest()

        made = Authority(authority.folder, datetime(2030, 1, 1, tzinfo=UTC)).init()

        assert not made
        assert f"{certificate(authority, 'ca').not_valid_after_utc:%Y}" == "2049"
        check = ["verify", "-x509_strict", "-no_check_time", "-CAfile", "ca.pem", "ingest.pem"]
        assert openssl(*check, folder=authority.folder) == "ingest.pem: OK\n"


class TestRevocation:
    def test_openssl_refuses_what_is_on_the_list_and_takes_a_new_one_of_that_name(self, authority):
        check = [
            "verify",
            "-crl_check",
            "-attime",
            str(int(NOW.timestamp())),
            "-CAfile",
            "ca.pem",
            "-CRLfile",
            "ca.crl",
        ]
        authority.issue_gateway(EUI)
        old = (authority.folder / f"{EUI}.pem").read_bytes()

        authority.revoke_gateway(EUI)
        (authority.folder / "old.pem").write_bytes(old)
        authority.issue_gateway(EUI)

        assert openssl(*check, f"{EUI}.pem", folder=authority.folder) == f"{EUI}.pem: OK\n"
        with pytest.raises(subprocess.CalledProcessError) as refused:
            openssl(*check, "old.pem", folder=authority.folder)
        assert "certificate revoked" in refused.value.stderr

    def test_a_renewed_authority_forgets_no_revocation(self, authority):
        authority.issue_gateway(EUI)
        serial = certificate(authority, EUI).serial_number
        authority.revoke_gateway(EUI)

        authority.init()

        listed = x509.load_pem_x509_crl((authority.folder / "ca.crl").read_bytes())
        assert [entry.serial_number for entry in listed] == [serial]

    def test_those_that_were_renewed_are_shut_out_too(self, authority):
        serials = []
        for _ in range(3):
            authority.issue_gateway(EUI)
            serials.append(certificate(authority, EUI).serial_number)

        authority.revoke_gateway(EUI)

        listed = x509.load_pem_x509_crl((authority.folder / "ca.crl").read_bytes())
        assert sorted(entry.serial_number for entry in listed) == sorted(serials)

    def test_a_renewed_one_shuts_out_nobody_and_is_listed_once(self, authority):
        authority.issue_gateway(EUI)
        authority.issue_gateway(EUI)

        listed = x509.load_pem_x509_crl((authority.folder / "ca.crl").read_bytes())
        assert list(listed) == []
        assert authority.gateways() == [EUI]

    def test_who_has_no_certificate_cannot_be_shut_out(self, authority):
        with pytest.raises(CertificateError, match="nobody has a certificate of that name"):
            authority.revoke_gateway(EUI)


class TestRefusals:
    def test_nothing_is_issued_without_an_authority(self, tmp_path):
        with pytest.raises(CertificateError, match=r"ca\.pem: does not exist; .* init"):
            Authority(tmp_path).issue_ingest()

    def test_a_lost_key_is_never_silently_replaced(self, authority):
        (authority.folder / "ca.key").unlink()

        for act in (authority.init, authority.issue_ingest):
            with pytest.raises(CertificateError, match=r"ca\.key: is missing"):
                act()
        assert not (authority.folder / "ca.key").exists()

    def test_nothing_outlives_its_authority(self, tmp_path):
        brief = Authority(tmp_path / "brief", NOW)
        brief.init(days=100)

        with pytest.raises(CertificateError, match="ends before 730 days are over; renew it with 'init'"):
            brief.issue_ingest()

    @pytest.mark.parametrize("eui", ["0016C001FF10A001", "ingest", "../../etc", "", "0016c001ff10a0011"])
    def test_a_gateway_s_name_is_an_eui(self, authority, eui):
        with pytest.raises(CertificateError, match="is no gateway EUI"):
            authority.issue_gateway(eui)

    def test_a_request_for_another_name_is_refused(self, authority, tmp_path):
        new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "own.key"]
        openssl(*new, "-subj", "/CN=0016c001ff10a002", "-out", "own.csr", folder=tmp_path)

        with pytest.raises(CertificateError, match=f"is for 0016c001ff10a002, not for {EUI}"):
            authority.issue_gateway(EUI, tmp_path / "own.csr")
        assert authority.issue_gateway("0016c001ff10a002", tmp_path / "own.csr").name == "0016c001ff10a002"

    def test_a_request_whose_signature_is_wrong_is_refused(self, authority, tmp_path):
        new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "own.key"]
        openssl(*new, "-subj", f"/CN={EUI}", "-outform", "DER", "-out", "own.der", folder=tmp_path)
        torn = bytearray((tmp_path / "own.der").read_bytes())
        torn[-1] ^= 1
        (tmp_path / "torn.der").write_bytes(torn)
        openssl("req", "-inform", "DER", "-in", "torn.der", "-out", "torn.csr", folder=tmp_path)

        with pytest.raises(CertificateError, match="is not signed with"):
            authority.issue_gateway(EUI, tmp_path / "torn.csr")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("lasting"), NOW)
    made.init()
    return made


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_gives_a_certificate_or_one_clear_line(lasting, content):
    request = lasting.folder / "any.csr"
    request.write_bytes(content)

    with pytest.raises(CertificateError):
        lasting.issue_gateway(EUI, request)


class TestCommand:
    def test_list_shows_every_end(self, tmp_path):
        runner, folder = CliRunner(), str(tmp_path / "certificates")
        for words in (["init"], ["broker", "localhost"], ["gateway", EUI]):
            done = runner.invoke(ingest, ["certificates", *words, "--folder", folder])
            assert done.exit_code == 0, done.output

        lines = runner.invoke(ingest, ["certificates", "list", "--folder", folder]).output.splitlines()

        assert [line.split()[0] for line in lines] == [EUI, "broker", "ca"]

    def test_init_leaves_changed_configurations_alone(self, tmp_path):
        runner, folder = CliRunner(), tmp_path / "certificates"
        runner.invoke(ingest, ["certificates", "init", "--folder", str(folder)])
        (folder / "nats.conf").write_text("my own")

        runner.invoke(ingest, ["certificates", "init", "--folder", str(folder)])

        assert (folder / "nats.conf").read_text() == "my own"

    def test_what_is_wrong_is_one_line(self, tmp_path):
        done = CliRunner().invoke(ingest, ["certificates", "ingest", "--folder", str(tmp_path)])

        assert done.exit_code == 1
        assert done.output == (
            f"Error: {tmp_path}/ca.pem: does not exist; 'stadtfunk ingest certificates init' makes it\n"
        )
        assert list(tmp_path.iterdir()) == []  # no key that nobody can sign

    @pytest.mark.parametrize(
        "host", ["broker.example:8883", "bad host", "größe.example", "", "a..example", "-a", "a" * 64]
    )
    def test_what_is_no_name_of_a_host_is_refused_before_anything_is_replaced(self, authority, host):
        authority.issue_broker(["broker.example"])
        before = {path.name: path.read_bytes() for path in authority.folder.iterdir()}

        folder = ["--folder", str(authority.folder), "--"]
        for words in (["certificates", "broker", *folder], ["broker-cluster", *folder, "a.example", "b.example"]):
            done = CliRunner().invoke(ingest, [*words, host])
            assert done.exit_code == 1
            assert done.output.startswith(f"Error: {host}: is no host name")

        assert {path.name: path.read_bytes() for path in authority.folder.iterdir()} == before

    def test_the_cluster_needs_the_folder_of_the_authority(self, tmp_path):
        folder = tmp_path / "certificates"
        done = CliRunner().invoke(ingest, ["broker-cluster", "a", "b", "c", "--folder", str(folder)])

        assert done.output == f"Error: {folder}: does not exist; 'stadtfunk ingest certificates init' makes it\n"
