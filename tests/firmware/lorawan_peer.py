# SPDX-License-Identifier: EUPL-1.2
"""The network's side for the tests of the node, on liblora, an implementation that knows nothing of ours."""

from types import SimpleNamespace

import loramsg
from loracrypto import crypto

from firmware.mac import Mac

APP_KEY = bytes.fromhex("8f1c3d5e7a9b0c2d4e6f8091a2b3c4d5")
IDENTITY = SimpleNamespace(dev_eui="70b3d57ed0000001", join_eui="70b3d57ed0ffff00", app_key=APP_KEY)
NET_ID = 0x000013
DEV_ADDR = 0x26011A2B


def join_accept(join_nonce=1, dl_settings=0, rx_delay=1, cf_list=None, app_key=APP_KEY):
    return loramsg.pack_jacc(app_key, join_nonce, NET_ID, DEV_ADDR, dl_settings, rx_delay, cf_list)


def session_keys(dev_nonce, join_nonce, app_key=APP_KEY):
    """(NwkSKey, AppSKey)."""
    return (
        crypto.derive(app_key, dev_nonce, join_nonce, NET_ID, loramsg.KD_NwkSKey),
        crypto.derive(app_key, dev_nonce, join_nonce, NET_ID, loramsg.KD_AppSKey),
    )


class Peer:
    """A network that knows one session."""

    def __init__(self, dev_nonce=0, join_nonce=1):
        self.nwk_s_key, self.app_s_key = session_keys(dev_nonce, join_nonce)

    def downlink(self, f_cnt, *, f_opts=b"", port=None, payload=b"", f_ctrl=0, confirmed=False, dev_addr=DEV_ADDR):
        kind = loramsg.FrmType.DCDN if confirmed else loramsg.FrmType.DADN
        cipher = self.nwk_s_key if port == 0 else self.app_s_key
        return loramsg.pack_dataframe(kind, dev_addr, f_ctrl, f_cnt, f_opts, port, payload, self.nwk_s_key, cipher)

    def read(self, phy_payload, last_f_cnt=0):
        """The uplink's fields, decrypted; raises loramsg.VerifyError."""
        loramsg.sanity_check_frame(phy_payload)
        return loramsg.unpack_dataframe(phy_payload, last_f_cnt, self.nwk_s_key, self.app_s_key)


def joined(**settings):
    """A core that has joined at second 0, and its network."""
    mac = Mac(IDENTITY)
    mac.join_request(0)
    mac.received(join_accept(**settings))
    return mac, Peer()


def free_bands(mac):
    """Let the duty cycle forget, for tests of something else."""
    mac.band_free_s = [0] * len(mac.band_free_s)
    mac.all_free_s = mac.join_spent_ms = 0
    return mac


def up(mac, payload=b"x", **options):
    """An uplink, whatever the duty cycle says."""
    return free_bands(mac).uplink(100, 2, payload, **options)


def ask(mac, peer, commands, f_cnt=0, snr_quarter_db=0, **frame):
    """Send ``commands`` down after an uplink; return the answers in the next one."""
    up(mac)
    mac.received(peer.downlink(f_cnt, f_opts=bytes.fromhex(commands), **frame), snr_quarter_db)
    return answers(mac, peer)


def answers(mac, peer):
    """FOpts of the next uplink, hex."""
    return peer.read(up(mac).phy_payload)["FOpts"].hex()
