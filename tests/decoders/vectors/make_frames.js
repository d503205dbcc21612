// SPDX-License-Identifier: EUPL-1.2
// Writes frames.json with an implementation that is not ours: npm install lora-packet@0.9.3 && node make_frames.js
const fs = require("fs");
const lora = require("lora-packet");

const hex = (text) => Buffer.from(text, "hex");
const SOURCE = "npm lora-packet 0.9.3, make_frames.js";
const appKey = "2b7e151628aed2a6abf7158809cf4f3c";

const joinRequests = [["70b3d57ed0000001", "70b3d57ed00012ab", 0], ["0000000000000000", "ffffffffffffffff", 0xffff], ["70b3d57ed0000001", "0004a30b001c0530", 258]].map(
  ([joinEui, devEui, devNonce]) => ({
    description: `join request ${devNonce} of ${devEui}`,
    source: SOURCE,
    app_key: appKey,
    join_eui: joinEui,
    dev_eui: devEui,
    dev_nonce: devNonce,
    phy_payload: lora
      .fromFields({ MType: "Join Request", AppEUI: hex(joinEui), DevEUI: hex(devEui), DevNonce: hex(devNonce.toString(16).padStart(4, "0")) }, null, null, hex(appKey))
      .getPHYPayload()
      .toString("hex"),
  }),
);

const joinAccepts = [
  ["without CFList", "000001", "000013", "26011bda", 0x00, 1, ""],
  ["RX1DROffset 2, RX2 DR3, delay 5 s", "c0ffee", "000000", "01020304", 0x23, 5, ""],
  // channels 867.1, 867.3, 867.5, 867.7, 867.9 MHz as TTN sends them
  ["with CFList of five channels", "0a0b0c", "600013", "fc00af01", 0x03, 1, "184f84e85684b85e84886684586e8400"],
].map(([description, joinNonce, netId, devAddr, dlSettings, rxDelay, cfList]) => {
  // lora-packet drops a DLSettings of 0 given as a number
  const packet = lora.fromFields(
    { MType: "Join Accept", AppNonce: hex(joinNonce), NetID: hex(netId), DevAddr: hex(devAddr), DLSettings: Buffer.from([dlSettings]), RxDelay: Buffer.from([rxDelay]), CFList: hex(cfList) },
    null,
    null,
    hex(appKey),
  );
  const keys = lora.generateSessionKeys10(hex(appKey), hex(netId), hex(joinNonce), hex("0102"));
  return {
    description: `join accept ${description}`,
    source: SOURCE,
    app_key: appKey,
    join_nonce: parseInt(joinNonce, 16),
    net_id: parseInt(netId, 16),
    dev_addr: parseInt(devAddr, 16),
    dl_settings: dlSettings,
    rx_delay: rxDelay,
    cf_list: cfList,
    phy_payload: packet.getPHYPayload().toString("hex"),
    dev_nonce: 0x0102,
    nwk_s_key: keys.NwkSKey.toString("hex"),
    app_s_key: keys.AppSKey.toString("hex"),
  };
});

const nwkSKey = "44024241ed4ce9a68c6a8bc055233fd3";
const appSKey = "ec925802ae430ca77fd3dd73cb2cc588";
const MTYPE = { "Unconfirmed Data Up": 2, "Unconfirmed Data Down": 3, "Confirmed Data Up": 4, "Confirmed Data Down": 5 };
const long = Array.from({ length: 222 }, (_, i) => (i * 7) & 255);
const data = [
  ["unconfirmed uplink on FPort 2", "Unconfirmed Data Up", "26011bda", {}, 1, "", 2, "100e9283ea55d20470030cfe"],
  ["uplink with ADR and counter beyond 16 bits", "Unconfirmed Data Up", "26011bda", { ADR: true }, 0x00012345, "", 2, "00"],
  ["uplink with ADR, ADRACKReq and FOpts", "Unconfirmed Data Up", "fc00af01", { ADR: true, ADRACKReq: true }, 65535, "0d", 2, "ff".repeat(16)],
  ["confirmed uplink of 17 bytes", "Confirmed Data Up", "00000000", {}, 0, "", 223, "00".repeat(17)],
  ["uplink of MAC commands on FPort 0", "Unconfirmed Data Up", "26011bda", { ACK: true }, 7, "", 0, "0307060a0b"],
  ["uplink without FPort, FOpts of 15 bytes", "Unconfirmed Data Up", "26011bda", {}, 8, "0307".repeat(7) + "02", null, ""],
  ["empty uplink without FPort", "Unconfirmed Data Up", "26011bda", {}, 9, "", null, ""],
  ["uplink of 222 bytes", "Unconfirmed Data Up", "ffffffff", {}, 10, "", 1, Buffer.from(long).toString("hex")],
  ["unconfirmed downlink with ACK and FPending", "Unconfirmed Data Down", "26011bda", { ACK: true, FPending: true }, 3, "", 21, "0102030405"],
  ["confirmed downlink with DeviceTimeAns in FOpts", "Confirmed Data Down", "26011bda", {}, 4, "0d58c9a75340", 1, "aa"],
  ["downlink of MAC commands on FPort 0", "Unconfirmed Data Down", "26011bda", { ADR: true }, 0x00020001, "", 0, "0353ff000106"],
  ["bare acknowledgement", "Unconfirmed Data Down", "26011bda", { ACK: true }, 5, "", null, ""],
].map(([description, mType, devAddr, fCtrl, fCnt32, fOpts, fPort, payload]) => {
  const high = Buffer.from([(fCnt32 >> 16) & 255, (fCnt32 >> 24) & 255]); // lora-packet wants these two little endian
  const fields = { MType: mType, DevAddr: hex(devAddr), FCtrl: fCtrl, FCnt: fCnt32 & 0xffff, FOpts: hex(fOpts), payload: hex(payload) };
  if (fPort !== null) fields.FPort = fPort;
  const packet = lora.fromFields(fields, hex(appSKey), hex(nwkSKey), null, high);
  if (fPort === null) { // fromFields signs only frames with an FPort
    lora.recalculateMIC(packet, hex(nwkSKey), null, high);
    packet._mergeGroupFields();
  }
  const flags = [fCtrl.ADR && 0x80, fCtrl.ADRACKReq && 0x40, fCtrl.ACK && 0x20, fCtrl.FPending && 0x10];
  return {
    description,
    source: SOURCE,
    nwk_s_key: nwkSKey,
    app_s_key: appSKey,
    m_type: MTYPE[mType],
    dev_addr: parseInt(devAddr, 16),
    f_ctrl: flags.reduce((sum, bit) => sum + (bit || 0), 0),
    f_cnt32: fCnt32,
    f_opts: fOpts,
    f_port: fPort,
    plain: payload,
    phy_payload: packet.getPHYPayload().toString("hex"),
  };
});
data.push({
  description: "packet that lora-packet publishes as its example ('test')",
  source: "README of npm lora-packet 0.9.3",
  nwk_s_key: nwkSKey,
  app_s_key: appSKey,
  m_type: 2,
  dev_addr: 0x49be7df1,
  f_ctrl: 0,
  f_cnt32: 2,
  f_opts: "",
  f_port: 1,
  plain: "74657374",
  phy_payload: "40f17dbe4900020001954378762b11ff0d",
});

fs.writeFileSync("frames.json", JSON.stringify({ join_requests: joinRequests, join_accepts: joinAccepts, data }, null, 1) + "\n");
