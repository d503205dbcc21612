// SPDX-License-Identifier: EUPL-1.2
// What gateways tell and why something was set aside, in German and English; what is not known here is shown as it is.

import type { Names } from './i18n'

export const EVENTS: Record<string, Names> = {
  node_late: { de: 'Knoten verspätet', en: 'node late' },
  node_down: { de: 'Knoten ausgefallen', en: 'node down' },
  node_back: { de: 'Knoten wieder da', en: 'node back' },
  concentrator_late: { de: 'Empfänger verspätet', en: 'concentrator late' },
  concentrator_down: { de: 'Empfänger ausgefallen', en: 'concentrator down' },
  concentrator_back: { de: 'Empfänger wieder da', en: 'concentrator back' },
  clock_unset: { de: 'Uhr nicht gestellt', en: 'clock not set' },
  clock_set: { de: 'Uhr gestellt', en: 'clock set' },
  undated_uplinks_dropped: { de: 'Uplinks ohne Zeit verworfen', en: 'uplinks without a time dropped' },
  join_flood: { de: 'Flut von Anmeldungen', en: 'flood of joins' },
  disk_short: { de: 'Speicherplatz knapp', en: 'disk short' },
  record_unreadable: { de: 'Datensatz nicht lesbar', en: 'record unreadable' },
}

/** What an event says besides; of a length of time in seconds the name ends in _s. */
export const DETAILS: Record<string, Names> = {
  silent_s: { de: 'still seit', en: 'silent for' },
  interval_s: { de: 'Abstand', en: 'interval' },
  received: { de: 'empfangen', en: 'received' },
  missed: { de: 'verpasst', en: 'missed' },
  concentrator: { de: 'Empfänger', en: 'concentrator' },
  free_mb: { de: 'frei, MB', en: 'free, MB' },
  quality: { de: 'Uhr', en: 'clock' },
  uplinks: { de: 'Uplinks', en: 'uplinks' },
  refused: { de: 'abgelehnt', en: 'refused' },
}

export const REASONS: Record<string, Names> = {
  unknown_topic: { de: 'unbekanntes Thema', en: 'unknown topic' },
  unknown_gateway: { de: 'Gateway steht nicht in der Liste mqtt.gateways', en: 'gateway is not in the list mqtt.gateways' },
  malformed_batch: { de: 'nicht lesbar', en: 'malformed' },
  unknown_version: { de: 'von einem neueren Gateway', en: 'of a newer gateway' },
  wrong_gateway: { de: 'Thema und Inhalt nennen verschiedene Gateways', en: 'topic and content name different gateways' },
  unreadable: { de: 'beim Lesen gescheitert: ein Programmfehler', en: 'reading it failed: a bug' },
  gave_up: { de: 'Worker endeten mitten darin', en: 'workers ended in the middle of it' },
  unknown_dev_eui: { de: 'Knoten steht nicht in city.json', en: 'node is not in city.json' },
  unknown_quantity: { de: 'unbekannte Größe', en: 'unknown quantity' },
  wrong_unit: { de: 'falsche Einheit', en: 'wrong unit' },
  unknown_fault: { de: 'unbekannte Störung', en: 'unknown fault' },
  time_ahead: { de: 'gemessen nach dem Empfang', en: 'sampled after its reception' },
  received_ahead: { de: 'empfangen in der Zukunft', en: 'received in the future' },
  before_since: { de: 'gemessen, bevor der Knoten irgendwo stand', en: 'sampled before the node stood anywhere' },
  internal_error: { de: 'Programmfehler', en: 'a bug' },
}
