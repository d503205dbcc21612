# SPDX-License-Identifier: EUPL-1.2
"""What the operator is told when the broker cannot be used."""

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from cloud_ingest.config import MqttSettings
from cloud_ingest.errors import ConfigError
from cloud_ingest.subscriber import Subscriber, refusal


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
            ("cert_file", b"rubbish", "is no certificate in PEM form, or mqtt.key_file is not its key"),
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
