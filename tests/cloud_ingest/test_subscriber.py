# SPDX-License-Identifier: EUPL-1.2
"""What the operator is told when the broker cannot be used."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import NameOID
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from cloud_ingest.config import MqttSettings
from cloud_ingest.errors import ConfigError
from cloud_ingest.subscriber import Subscriber, refusal, sessions


class TestFiles:
    @pytest.mark.parametrize(
        ("key", "content", "problem"),
        [
            ("ca_file", None, "cannot be read (No such file or directory)"),
            ("cert_file", None, "cannot be read (No such file or directory)"),
            ("key_file", None, "cannot be read (No such file or directory)"),
            ("password_file", None, "cannot be read (No such file or directory)"),
            ("password_file", b"\xff\xfe", "is not text in UTF-8"),
            ("ca_file", b"rubbish", "holds no certificate in PEM form"),
            (
                "cert_file",
                b"rubbish",
                "is no certificate in PEM form, or mqtt.key_file is not its key or has a passphrase",
            ),
        ],
    )
    def test_one_that_cannot_be_used_is_named_with_its_key(self, tmp_path, key, content, problem):
        path = tmp_path / "file"
        if content is not None:
            path.write_bytes(content)
        settings = MqttSettings(username="x", tls=True, **{key: path})

        with pytest.raises(ConfigError) as caught:
            Subscriber(settings, None, None)

        assert str(caught.value) == f"mqtt.{key}: {path}: {problem}"

    def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(self, tmp_path):
        key = ec.generate_private_key(ec.SECP256R1())
        sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        certificate, key_file = tmp_path / "ingest.pem", tmp_path / "ingest.key"
        certificate.write_bytes(self_signed(key))
        key_file.write_bytes(sealed)

        with pytest.raises(ConfigError, match="or has a passphrase"):
            Subscriber(MqttSettings(tls=True, cert_file=certificate, key_file=key_file), None, None)


def self_signed(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ingest")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


ALARM, READING, DIAGNOSTIC = 0, 1, 2


class TestSessions:
    """What waits in one session waits in line, so each lane has its own, where the broker can tell them apart."""

    def test_one_for_each_lane_the_alarms_first(self):
        plans = sessions(MqttSettings())

        assert [(plan.settings.client_id, plan.lanes) for plan in plans] == [
            ("stadtfunk-ingest-alarm", (ALARM,)),
            ("stadtfunk-ingest", (READING,)),
            ("stadtfunk-ingest-diagnostic", (DIAGNOSTIC,)),
        ]

    def test_with_certificates_each_has_its_own(self, tmp_path):
        for name in ("ingest", "ingest-alarm", "ingest-diagnostic"):
            for suffix in ("pem", "key"):
                (tmp_path / f"{name}.{suffix}").touch()

        plans = sessions(MqttSettings(cert_file=tmp_path / "ingest.pem", key_file=tmp_path / "ingest.key"))

        assert [(plan.settings.cert_file, plan.settings.key_file) for plan in plans] == [
            (tmp_path / "ingest-alarm.pem", tmp_path / "ingest-alarm.key"),
            (tmp_path / "ingest.pem", tmp_path / "ingest.key"),
            (tmp_path / "ingest-diagnostic.pem", tmp_path / "ingest-diagnostic.key"),
        ]

    def test_a_lane_without_a_certificate_shares_the_session_of_the_readings(self, tmp_path):
        for name in ("ingest", "ingest-alarm"):
            (tmp_path / f"{name}.pem").touch()

        plans = sessions(MqttSettings(cert_file=tmp_path / "ingest.pem"))

        assert [(plan.settings.client_id, plan.lanes) for plan in plans] == [
            ("stadtfunk-ingest-alarm", (ALARM,)),
            ("stadtfunk-ingest", (READING, DIAGNOSTIC)),
        ]

    def test_all_share_one_if_the_settings_say_so(self):
        [plan] = sessions(MqttSettings(session_per_lane=False))

        assert (plan.settings.client_id, plan.lanes) == ("stadtfunk-ingest", (ALARM, READING, DIAGNOSTIC))


class TestRefusals:
    """MQTT 3.1.1 "Connect Return code values"."""

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("Bad user name or password", "mqtt.username or the password in mqtt.password_file is wrong"),
            ("Client identifier not valid", "it does not take our mqtt.client_id"),
            ("Unspecified error", "it gives no reason that we know; its own log may say more"),
        ],
    )
    def test_a_reason_is_said_in_plain_words(self, name, words):
        assert refusal(ReasonCode(PacketTypes.CONNACK, name)) == words
