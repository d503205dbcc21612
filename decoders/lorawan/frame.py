# SPDX-License-Identifier: EUPL-1.2
"""LoRaWAN 1.0.4 frames: parse, serialize, sign, encrypt. Nothing here waits, counts or remembers.

TS001-1.0.4 "MAC Frame Formats" and "End-Device Activation". EUIs are lower-case hex, most significant byte first;
on air everything is little endian. Keys are 16 bytes. ``f_cnt32`` is the full counter, of which 16 bits are on air.
"""

from decoders.lorawan.data_frame import ACK as ACK
from decoders.lorawan.data_frame import ADR as ADR
from decoders.lorawan.data_frame import ADR_ACK_REQ as ADR_ACK_REQ
from decoders.lorawan.data_frame import CLASS_B as CLASS_B
from decoders.lorawan.data_frame import CONFIRMED_DOWN as CONFIRMED_DOWN
from decoders.lorawan.data_frame import CONFIRMED_UP as CONFIRMED_UP
from decoders.lorawan.data_frame import F_PENDING as F_PENDING
from decoders.lorawan.data_frame import JOIN_ACCEPT as JOIN_ACCEPT
from decoders.lorawan.data_frame import JOIN_REQUEST as JOIN_REQUEST
from decoders.lorawan.data_frame import UNCONFIRMED_DOWN as UNCONFIRMED_DOWN
from decoders.lorawan.data_frame import UNCONFIRMED_UP as UNCONFIRMED_UP
from decoders.lorawan.data_frame import DataFrame as DataFrame
from decoders.lorawan.data_frame import Fhdr as Fhdr
from decoders.lorawan.data_frame import m_type as m_type
from decoders.lorawan.data_frame import verify_data as verify_data
from decoders.lorawan.join_frame import JoinAccept as JoinAccept
from decoders.lorawan.join_frame import JoinRequest as JoinRequest
from decoders.lorawan.join_frame import derive_session_keys as derive_session_keys
from decoders.lorawan.join_frame import verify_join_request as verify_join_request
