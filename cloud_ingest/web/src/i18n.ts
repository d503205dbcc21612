// SPDX-License-Identifier: EUPL-1.2
// Words of the pages in German and English, and how numbers and times are written in each.

export type Language = 'de' | 'en'
export type Names = Record<Language, string>

const WORDS = {
  title: { de: 'Stadtfunk', en: 'Stadtfunk' },
  crew_link: { de: 'Gießliste', en: 'Watering list' },
  map_link: { de: 'Karte', en: 'Map' },
  crew_title: { de: 'Heute gießen', en: 'Water today' },
  other_language: { de: 'English', en: 'Deutsch' },
  skip_to_list: { de: 'Zur Liste der Bäume', en: 'Skip to the list of trees' },
  map_label: { de: 'Karte der Bäume und Referenzflächen', en: 'Map of trees and reference areas' },
  map_missing: {
    de: 'Dieser Browser kann die Karte nicht zeichnen (kein WebGL). Alle Angaben stehen in den Listen darunter.',
    en: 'This browser cannot draw the map (no WebGL). Everything is in the lists below.',
  },
  zoom_in: { de: 'Vergrößern', en: 'Zoom in' },
  zoom_out: { de: 'Verkleinern', en: 'Zoom out' },
  chart_empty: { de: 'In diesem Zeitraum liegt keine Messung vor.', en: 'There is no reading in this period.' },
  period_label: { de: 'Zeitraum', en: 'Period' },
  period_1: { de: '24 Stunden', en: '24 hours' },
  period_7: { de: '7 Tage', en: '7 days' },
  period_30: { de: '30 Tage', en: '30 days' },
  areas_title: { de: 'Referenzflächen', en: 'Reference areas' },
  trees_title: { de: 'Bäume', en: 'Trees' },
  stations_title: { de: 'Luft und Verkehr', en: 'Air and traffic' },
  air_station: { de: 'Luftmessung', en: 'Air quality' },
  traffic_station: { de: 'Verkehrszählung', en: 'Traffic count' },
  time_uncertain: { de: 'Zeit ungewiss', en: 'time uncertain' },
  times_uncertain: {
    de: 'Messwerte, deren Zeit ungewiss ist, weil die Uhr des Empfängers nicht gestellt war:',
    en: 'Readings whose time is uncertain, because the receiver’s clock was not set:',
  },
  suspect: { de: 'Zweifelhaft', en: 'Doubtful' },
  suspect_stuck: { de: 'bewegt sich nicht', en: 'does not move' },
  suspect_flat: { de: 'steht seit Tagen still', en: 'has not moved for days' },
  suspect_humid: { de: 'eher zu hoch, weil die Luft sehr feucht ist', en: 'probably too high, because the air is very humid' },
  suspect_contradictory: { de: 'widerspricht einer anderen Korngröße', en: 'contradicts another particle size' },
  last_of: { de: '{count} Mal, zuletzt {span}', en: '{count} times, last {span}' },
  few: { de: 'wenige', en: 'few' },
  few_why: {
    de: 'Sehr kleine Zahlen werden zum Schutz Einzelner nicht gezeigt.',
    en: 'Very small counts are not shown, to protect individuals.',
  },
  count_span: { de: 'Gezählt in den {span} bis zur genannten Zeit.', en: 'Counted in the {span} up to the time shown.' },
  count_why: {
    de: 'Langsam: unter {slow} km/h, mittel: {slow} bis {fast} km/h, schnell: über {fast} km/h. Kommend: auf das Messgerät zu, gehend: von ihm weg.',
    en: 'Slow: below {slow} km/h, medium: {slow} to {fast} km/h, fast: above {fast} km/h. Approaching: towards the counter, receding: away from it.',
  },
  minutes: { de: '{count} Minuten', en: '{count} minutes' },
  hours: { de: '{count} Stunden', en: '{count} hours' },
  values_label: { de: 'Messwerte; zum Zeichnen auswählen', en: 'Readings; choose one to draw' },
  area: { de: 'Referenzfläche', en: 'Reference area' },
  state: { de: 'Zustand', en: 'State' },
  value: { de: 'Messwert', en: 'Reading' },
  threshold: { de: 'Schwelle', en: 'Threshold' },
  green_short: { de: 'genug Wasser', en: 'enough water' },
  dry_short: { de: 'zu trocken', en: 'too dry' },
  grey_short: { de: 'unbekannt', en: 'unknown' },
  sensor_ok: { de: 'Sensor in Ordnung', en: 'sensor working' },
  sensor_silent: { de: 'Sensor schweigt', en: 'sensor is silent' },
  sensor_fault: { de: 'Sensor gestört', en: 'sensor faulty' },
  sensor_frozen: { de: 'Boden gefroren, Messwert nicht gültig', en: 'soil frozen, reading not valid' },
  sensor_stuck: { de: 'Messwert bewegt sich nicht', en: 'reading does not move' },
  sensor_none: { de: 'ohne eigenen Sensor', en: 'no sensor of its own' },
  sensor_lost: {
    de: 'Seither ist hier kein Sensor mehr in Ordnung.',
    en: 'No sensor here has been working since.',
  },
  offline_empty: { de: 'Keine Verbindung zum Server.', en: 'No connection to the server.' },
  planted: { de: 'gepflanzt', en: 'planted' },
  last_reading: { de: 'letzte Messung', en: 'last reading' },
  as_of: { de: 'Stand', en: 'as of' },
  since: { de: 'seit', en: 'since' },
  litres: { de: 'Liter', en: 'litres' },
  per_tree: { de: 'je Baum', en: 'per tree' },
  why_below: { de: '{quantity} {value} liegt unter der Schwelle {threshold}', en: '{quantity} {value} is below the threshold {threshold}' },
  why_above: { de: '{quantity} {value} liegt über der Schwelle {threshold}', en: '{quantity} {value} is above the threshold {threshold}' },
  nothing_dry: { de: 'Heute ist nichts zu gießen.', en: 'Nothing to water today.' },
  one_stop: { de: '1 Fläche, {litres} Liter', en: '1 area, {litres} litres' },
  stops: { de: '{count} Flächen, {litres} Liter', en: '{count} areas, {litres} litres' },
  navigate: { de: 'Weg dorthin', en: 'Directions' },
  on_a_map: { de: 'auf der Karte', en: 'on a map' },
  check_title: { de: 'Sensoren prüfen', en: 'Sensors to check' },
  check_why: {
    de: 'Hier fehlt eine gültige Messung. Ob diese Bäume Wasser brauchen, ist nicht bekannt.',
    en: 'A valid reading is missing here. Whether these trees need water is not known.',
  },
  offline: { de: 'Keine Verbindung zum Server; gezeigt ist der Stand von {time}.', en: 'No connection to the server; showing the state of {time}.' },
  open_data: {
    de: 'Alle Messwerte sind offene Daten und dürfen frei verwendet werden.',
    en: 'All readings are open data and free to use.',
  },
  operator_title: { de: 'Betrieb', en: 'Operation' },
  nodes_title: { de: 'Knoten zu prüfen', en: 'Nodes to check' },
  gateways_title: { de: 'Gateways', en: 'Gateways' },
  gaps_title: { de: 'Was fehlt', en: 'What is missing' },
  gaps_why: {
    de: 'Verworfen: ein volles Gateway hat es gemeldet. Ungeklärt: ein Gateway hat es nicht mehr, und niemand weiß warum.',
    en: 'Dropped: a full gateway told so. Unexplained: a gateway no longer has it, and nobody knows why.',
  },
  letters_title: { de: 'Nicht anwendbar', en: 'Could not be applied' },
  letters_count: { de: 'Nachrichten nicht anwendbar', en: 'messages not applied' },
  letters_why: { de: 'Zum Lesen und erneuten Anwenden:', en: 'To read it and apply it again:' },
  events_title: { de: 'Ereignisse', en: 'Events' },
  counters_title: { de: 'Alle Zähler', en: 'All counters' },
  broker_connected: { de: 'Broker verbunden', en: 'broker connected' },
  broker_lost: { de: 'Broker nicht verbunden', en: 'broker not connected' },
  store_writes: { de: 'Datenbank schreibt', en: 'store writes' },
  records_missing: { de: 'Datensätze fehlen', en: 'records missing' },
  none: { de: 'Nichts.', en: 'None.' },
  not_shown: { de: 'und {count} weitere: stadtfunk ingest gaps', en: 'and {count} more: stadtfunk ingest gaps' },
  where: { de: 'Ort', en: 'Place' },
  node: { de: 'Knoten', en: 'Node' },
  gateway: { de: 'Gateway', en: 'Gateway' },
  stored_up_to: { de: 'gespeichert bis Nummer', en: 'stored up to number' },
  last_heard: { de: 'zuletzt gehört', en: 'last heard' },
  never_heard: { de: 'nie gehört', en: 'never heard' },
  overdue: { de: 'überfällig', en: 'overdue' },
  gateways_overdue: { de: 'Gateways überfällig', en: 'gateways overdue' },
  gateways_why: {
    de: 'Jedes Gateway zählt seine Datensätze in drei Reihen; bis zur genannten Nummer sind sie hier gespeichert. Überfällig: so lange still, wie Knoten sonst für drei Messungen brauchen.',
    en: 'Each gateway numbers its records in three rows; up to the number shown they are stored here. Overdue: silent for as long as nodes usually take for three readings.',
  },
  dropped: { de: 'verworfen', en: 'dropped' },
  unexplained: { de: 'ungeklärt', en: 'unexplained' },
  last_event: { de: 'letztes Ereignis', en: 'last event' },
  lane_alarm: { de: 'Alarme', en: 'alarms' },
  lane_reading: { de: 'Messwerte', en: 'readings' },
  lane_diagnostic: { de: 'Diagnose', en: 'diagnostics' },
  epoch: { de: 'Epoche', en: 'epoch' },
  records: { de: 'Datensätze', en: 'Records' },
  missing: { de: 'fehlen', en: 'missing' },
  why: { de: 'Warum', en: 'Why' },
  time_span: { de: 'empfangen', en: 'received' },
  how_many: { de: 'Anzahl', en: 'How many' },
  came: { de: 'kam so oft', en: 'Came so often' },
  tries: { de: 'Nachrichten, in denen ein Worker endete', en: 'messages in the middle of which a worker ended' },
  time: { de: 'Zeit', en: 'Time' },
  what: { de: 'Was', en: 'What' },
  details: { de: 'Einzelheiten', en: 'Details' },
  licences: { de: 'Lizenzen', en: 'Licences' },
  health: { de: 'Dienststatus', en: 'Service status' },
} satisfies Record<string, Names>

export type Word = keyof typeof WORDS

function preferred(): Language {
  const asked = new URLSearchParams(location.search).get('lang') ?? localStorage.getItem('lang') ?? navigator.language
  return asked.toLowerCase().startsWith('en') ? 'en' : 'de'
}

let language: Language = preferred()

export function word(key: Word, values: Record<string, string> = {}): string {
  return WORDS[key][language].replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '')
}

export const named = (names: Names): string => names[language]

// English as it is written in Europe: day before month, 24 hours.
export const locale = (): string => (language === 'de' ? 'de-DE' : 'en-GB')

export function number(value: number, digits = 1): string {
  return value.toLocaleString(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

const QUANTITIES: Record<string, Names> = {
  soil_moisture: { de: 'Bodenfeuchte', en: 'Soil moisture' },
  soil_temperature: { de: 'Bodentemperatur', en: 'Soil temperature' },
  surface_temperature: { de: 'Oberflächen\u00adtemperatur', en: 'Surface temperature' },
  soil_water_tension: { de: 'Saugspannung', en: 'Soil water tension' },
  pm2_5: { de: 'Feinstaub PM2,5', en: 'Particles PM2.5' },
  pm10: { de: 'Feinstaub PM10', en: 'Particles PM10' },
  co2: { de: 'Kohlendioxid', en: 'Carbon dioxide' },
  air_temperature: { de: 'Lufttemperatur', en: 'Air temperature' },
  relative_humidity: { de: 'Relative Feuchte', en: 'Relative humidity' },
  air_pressure: { de: 'Luftdruck', en: 'Air pressure' },
  voc_index: { de: 'VOC-Index', en: 'VOC index' },
  nox_index: { de: 'NOx-Index', en: 'NOx index' },
  vehicle_count: { de: 'Fahrzeuge', en: 'Vehicles' },
  vehicle_count_approaching_slow: { de: 'kommend, langsam', en: 'approaching, slow' },
  vehicle_count_approaching_medium: { de: 'kommend, mittel', en: 'approaching, medium' },
  vehicle_count_approaching_fast: { de: 'kommend, schnell', en: 'approaching, fast' },
  vehicle_count_receding_slow: { de: 'gehend, langsam', en: 'receding, slow' },
  vehicle_count_receding_medium: { de: 'gehend, mittel', en: 'receding, medium' },
  vehicle_count_receding_fast: { de: 'gehend, schnell', en: 'receding, fast' },
  bicycle_count: { de: 'Fahrräder', en: 'Bicycles' },
  people_count: { de: 'Menschen zu Fuß', en: 'People on foot' },
}
export const isCount = (name: string): boolean => name.includes('_count')
export const quantity = (name: string): string => QUANTITIES[name]?.[language] ?? name

// UCUM codes as people write them.
const UNITS: Record<string, string> = { '%': '%', Cel: '°C', kPa: 'kPa', V: 'V', 'ug/m3': 'µg/m³', '[ppm]': 'ppm', hPa: 'hPa', '1': '' }
const WHOLE = ['1', '[ppm]']
/** A number and its unit, which stay on one line. */
export const withUnit = (value: number, unit: string): string =>
  `${number(value, WHOLE.includes(unit) ? 0 : 1)}\u00a0${UNITS[unit] ?? unit}`.trimEnd()

/** A length of time: 15 minutes, 2 hours. */
export function duration(seconds: number): string {
  const hours = seconds / 3600
  if (hours > 1 && Number.isInteger(hours)) return word('hours', { count: number(hours, 0) })
  return word('minutes', { count: number(Math.round(seconds / 60), 0) })
}

/** Local time of the city, from an ISO time. */
export function time(iso: string): string {
  return new Date(iso).toLocaleString(locale(), {
    timeZone: 'Europe/Berlin', weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit',
  })
}

/** Put the words of the page into it, and call `changed` whenever the reader switches the language. */
export function translatePage(changed: () => void): void {
  const apply = () => {
    document.documentElement.lang = language
    for (const element of document.querySelectorAll<HTMLElement>('[data-i18n]')) {
      element.textContent = word(element.dataset.i18n as Word)
    }
    for (const element of document.querySelectorAll<HTMLElement>('[data-i18n-label]')) {
      element.setAttribute('aria-label', word(element.dataset.i18nLabel as Word))
    }
    document.getElementById('language')!.textContent = word('other_language')
  }
  document.getElementById('language')!.addEventListener('click', () => {
    language = language === 'de' ? 'en' : 'de'
    localStorage.setItem('lang', language)
    apply()
    changed()
  })
  apply()
}
