// SPDX-License-Identifier: EUPL-1.2
// The JSON of /api as types; cloud_ingest/README.md describes it.

import type { FeatureCollection, Point, Polygon } from 'geojson'
import type { State } from './badge'
import type { Names } from './i18n'

export type Sensor = 'ok' | 'silent' | 'fault' | 'frozen' | 'stuck' | 'none'

export interface AreaProperties {
  id: string
  name: Names
  state: State
  quantity: string
  unit: string
  value: number | null
  act: number
  clear: number
  direction: 'below' | 'above'
  since: string | null
  litres: number
  trees: number
}

export interface Latest {
  value: number | null
  unit: string
  at: string
  age_s: number
  fault: string | null
  suppressed?: true // a count too small to be told
  time_uncertain?: true // the clock of the gateway that received it was not set
  suspect?: Doubt[] // why it is doubted
}

export type Doubt = 'stuck' | 'flat' | 'humid' | 'contradictory'

export type Kind = 'air' | 'traffic'

export interface StationProperties {
  id: string
  kind: Kind
  name: Names
  interval_s: number | null
  speeds_kmh?: [number, number] // of traffic: below the first is slow, above the second fast
  sensor: Sensor
  sensors: Record<string, Sensor> // each of its instruments
  latest: Record<string, Latest>
}

export interface TreeProperties {
  id: string
  name: Names
  latin: string
  planted: number
  area: string
  state: State
  sensor: Sensor
  fault: string | null
  latest: Record<string, Latest>
}

export interface City {
  name: Names
  center: [number, number]
  zoom: number
}

export type AreaCollection = FeatureCollection<Polygon, AreaProperties> & { now: string; city: City }
export type TreeCollection = FeatureCollection<Point, TreeProperties> & { now: string }
export type StationCollection = FeatureCollection<Point, StationProperties> & { now: string }

export interface Series {
  unit: string
  from: string
  to: string
  act: number | null
  at: number[]
  value: number[]
  suspect: [number, number, Doubt][] // from, to, why; oldest first
  times_uncertain: number // of the readings
}

export interface CrewList {
  now: string
  city: City
  litres: number
  areas: {
    id: string
    name: Names
    state: State
    why: { quantity: string; unit: string; value: number; threshold: number; direction: 'below' | 'above'; since: string }
    opened: string
    sensor_lost: boolean
    litres: number
    litres_per_tree: number
    center: [number, number]
    trees: { id: string; name: Names }[]
  }[]
  sensors: { tree: string; name: Names; area_name: Names; lon: number; lat: number; sensor: Sensor; last: string | null }[]
}

/** What `/operator/data` tells those who know the token. */
export interface Operations {
  now: string | null
  broker: string
  writer: string | null // why nothing can be stored
  gateways: {
    gateway_eui: string
    heard_at: string | null
    overdue: boolean
    epoch: number | null
    seqs: (number | null)[]
    dropped: number
    unexplained: number
    last_event: string | null
  }[]
  nodes: {
    dev_eui: string
    site: string
    name: Names
    sensor: Sensor
    sensors: Record<string, Sensor> // of a station: those that are not well
    last: string | null
  }[]
  nodes_registered: number
  missing: number
  gaps: {
    gateway_eui: string
    epoch: number
    lane: number
    first_seq: number
    last_seq: number
    missing: number
    named: boolean // its gateway told us
    first_at: string | null
    last_at: string | null
    nodes: { dev_eui: string; uplinks: number }[]
  }[]
  gaps_total: number
  dead_letters: { reason: string; letters: number; times: number }[]
  tries: number
  events: {
    at: string
    time_quality: string
    gateway_eui: string
    kind: string
    dev_eui: string | null
    site: string | null
    detail: Record<string, unknown>
  }[]
  counters: Record<string, number>
}

async function get<T>(path: string): Promise<T> {
  const response = await fetch(path)
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  return (await response.json()) as T
}

export const areas = () => get<AreaCollection>('/api/areas')
export const trees = () => get<TreeCollection>('/api/trees')
export const stations = () => get<StationCollection>('/api/stations')
export const operations = () => get<Operations>('/operator/data')
export const crew = () => get<CrewList>('/api/crew')

/** The readings of the `days` before `now` (ISO). */
export function series(at: 'trees' | 'stations', id: string, quantity: string, now: string, days: number): Promise<Series> {
  const from = new Date(Date.parse(now) - days * 86_400_000).toISOString()
  const query = new URLSearchParams({ quantity, from, to: now })
  return get<Series>(`/api/${at}/${encodeURIComponent(id)}/series?${query}`)
}
