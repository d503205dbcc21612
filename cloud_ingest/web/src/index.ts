// SPDX-License-Identifier: EUPL-1.2
// The public page: trees, air and traffic of the city on a map, in lists, and one of them over time.

import './style.css'
import * as api from './api'
import { badge, stateText, stationBadge, type State } from './badge'
import { Chart } from './chart'
import { element, table, text } from './dom'
import { duration, isCount, named, quantity, time, translatePage, withUnit, word } from './i18n'
import type { CityMap } from './map'
import { keepFresh } from './refresh'

const PERIOD_DAYS = [1, 7, 30] as const
const COLUMNS = ['area', 'state', 'value', 'threshold'] as const
const STATES: State[] = ['dry', 'green', 'grey']

let areas: api.AreaCollection | null = null
let trees: api.TreeCollection | null = null
let stations: api.StationCollection | null = null
// Of a tree or station; an address of before the stations says tree.
let selected = new URLSearchParams(location.search).get('site') ?? new URLSearchParams(location.search).get('tree')
let drawn: string | null = null // the quantity over time that the reader, or at a station we, have chosen
let days: number = 7
let map: CityMap | null = null
const chart = new Chart(element('chart'))

// MapLibre is large and needs WebGL 2: load it after the lists, and do without where it cannot draw.
async function openMap(): Promise<void> {
  try {
    const { CityMap } = await import('./map')
    map = new CityMap(element('map'), choose)
    drawMap()
  } catch (error) {
    console.warn(error)
    element('map-missing').hidden = false
  }
}

function drawMap(): void {
  if (map && areas && trees && stations) map.show(areas, trees, stations, selected)
}

function choose(id: string): void {
  selected = id
  drawn = null
  const url = new URL(location.href)
  url.searchParams.delete('tree')
  url.searchParams.set('site', id)
  history.replaceState(null, '', url)
  draw()
  const site = [...(trees?.features ?? []), ...(stations?.features ?? [])].find((feature) => feature.properties.id === id)
  if (site) map?.focus(site.geometry.coordinates as [number, number])
  void drawSite()
}

function drawSummary(): void {
  const counts = STATES.map((state) => {
    const count = areas!.features.filter((area) => area.properties.state === state).length
    const box = document.createElement('span')
    box.className = 'count'
    box.append(badge(state), text('strong', String(count)), word(`${state}_short`))
    return box
  })
  element('summary').replaceChildren(...counts, text('span', `${word('as_of')} ${time(areas!.now)}`, 'as-of'))
  element('city').textContent = named(areas!.city.name)
  document.title = `${word('title')} ${named(areas!.city.name)}`
  element('legend').replaceChildren(
    ...STATES.map((state) => {
      const item = document.createElement('li')
      item.append(badge(state), word(`${state}_short`))
      return item
    }),
    ...(['air', 'traffic'] as const)
      .filter((kind) => stations!.features.some((station) => station.properties.kind === kind))
      .map((kind) => {
        const item = document.createElement('li')
        item.append(stationBadge(kind), word(`${kind}_station`))
        return item
      }),
  )
}

function drawAreas(): void {
  const rows = areas!.features.map(({ properties: area }) => [
    named(area.name),
    stateText(area.state),
    area.value === null ? '–' : `${quantity(area.quantity)} ${withUnit(area.value, area.unit)}`,
    withUnit(area.act, area.unit),
  ])
  element('areas').replaceChildren(table(COLUMNS.map((key) => word(key)), rows))
}

function listItem(id: string, sign: HTMLElement, name: string, about: string): HTMLElement {
  const button = document.createElement('button')
  button.type = 'button'
  button.dataset.site = id
  button.setAttribute('aria-pressed', String(id === selected))
  const words = document.createElement('span')
  words.append(name, text('small', about))
  button.append(sign, words)
  button.addEventListener('click', () => {
    choose(id)
    element('tree').scrollIntoView({ block: 'nearest' })
  })
  const item = document.createElement('li')
  item.append(button)
  return item
}

function drawLists(): void {
  element('tree-list').replaceChildren(
    ...trees!.features.map(({ properties: tree }) => {
      const about = `${tree.id} · ${areaName(tree.area)} · ${word(`${tree.state}_short`)}`
      return listItem(tree.id, badge(tree.state), named(tree.name), about)
    }),
  )
  element('stations').hidden = stations!.features.length === 0
  element('station-list').replaceChildren(
    ...stations!.features.map(({ properties: station }) => {
      const about = `${station.id} · ${word(`${station.kind}_station`)} · ${sensorText(station)}`
      return listItem(station.id, stationBadge(station.kind, station.sensor), named(station.name), about)
    }),
  )
}

const areaName = (id: string) => named(areas!.features.find((area) => area.properties.id === id)!.properties.name)

/** The state of a station's sensors; where only some are well, those that are not by name. */
function sensorText({ sensor, sensors }: api.StationProperties): string {
  const ill = Object.entries(sensors).filter(([, state]) => state !== 'ok')
  if (sensor !== 'ok' || ill.length === 0) return word(`sensor_${sensor}`)
  return ill.map(([name, state]) => `${name}: ${word(`sensor_${state}`)}`).join(' · ')
}

/** Each reason to doubt something in the chart, with its newest time and how often it was before. */
function doubts(found: api.Series['suspect']): HTMLElement[] {
  const reasons = [...new Set(found.map(([, , reason]) => reason))]
  return reasons.map((reason) => {
    const times = found.filter((one) => one[2] === reason)
    const [from, to] = times.at(-1)!
    const span = [...new Set([from, to])].map((at) => time(new Date(at * 1000).toISOString())).join(' – ')
    const when = times.length > 1 ? word('last_of', { count: String(times.length), span }) : span
    return text('span', `${word('suspect')}: ${word(`suspect_${reason}`)} (${when})`, 'suspect')
  })
}

/** A latest value in words: a number, few (too small to be told), or a dash. */
const told = (latest: api.Latest): string =>
  latest.suppressed ? word('few') : latest.value === null ? '–' : withUnit(latest.value, latest.unit)

function drawValues(values: Record<string, api.Latest>, shown: string): void {
  element('tree-values').replaceChildren(
    ...Object.entries(values)
      .filter(([name]) => quantity(name) !== name)
      .map(([name, latest]) => {
        const button = document.createElement('button')
        button.type = 'button'
        button.dataset.quantity = name
        button.setAttribute('aria-pressed', String(name === shown))
        button.append(text('span', quantity(name)), text('strong', told(latest)), text('small', time(latest.at)))
        if (latest.time_uncertain) button.append(text('small', word('time_uncertain')))
        for (const doubt of latest.suspect ?? []) button.append(text('small', `${word('suspect')}: ${word(`suspect_${doubt}`)}`, 'suspect'))
        if (latest.suppressed) button.title = word('few_why')
        button.addEventListener('click', () => {
          drawn = name
          void drawSite()
        })
        return button
      }),
  )
}

/** Of how long the counts of a traffic station are, and what slow and fast mean there. */
function aboutCounts({ interval_s, speeds_kmh, latest }: api.StationProperties): string {
  const parts = interval_s === null ? [] : [word('count_span', { span: duration(interval_s) })]
  if (speeds_kmh && Object.keys(latest).some((name) => /_(slow|medium|fast)$/.test(name))) {
    parts.push(word('count_why', { slow: String(speeds_kmh[0]), fast: String(speeds_kmh[1]) }))
  }
  return parts.join(' ')
}

function drawPeriods(): void {
  element('periods').replaceChildren(
    ...PERIOD_DAYS.map((period) => {
      const button = text('button', word(`period_${period}`))
      button.setAttribute('aria-pressed', String(period === days))
      button.addEventListener('click', () => {
        days = period
        void drawSite()
      })
      return button
    }),
  )
}

async function drawSite(): Promise<void> {
  if (!areas) return
  const tree = trees?.features.find((feature) => feature.properties.id === selected)?.properties
  const station = stations?.features.find((feature) => feature.properties.id === selected)?.properties
  if (tree) {
    const rule = areas.features.find((area) => area.properties.id === tree.area)!.properties
    const about = `${tree.latin} · ${tree.id} · ${areaName(tree.area)} · ${word('planted')} ${tree.planted}`
    element('tree-state').replaceChildren(stateText(tree.state), ` · ${word(`sensor_${tree.sensor}`)}`)
    element('count-note').hidden = true
    await drawDetails('trees', tree.id, named(tree.name), about, tree.latest, drawn ?? rule.quantity)
  } else if (station) {
    const about = `${word(`${station.kind}_station`)} · ${station.id}`
    element('tree-state').replaceChildren(stationBadge(station.kind, station.sensor), ` ${sensorText(station)}`)
    element('count-note').hidden = station.kind !== 'traffic'
    element('count-note').textContent = aboutCounts(station)
    // A traffic station is best known by its largest count; of that when it was chosen, or the chart would jump about.
    const counts = Object.entries(station.latest).sort(([, a], [, b]) => (b.value ?? -1) - (a.value ?? -1))
    const first = station.kind === 'air' ? Object.keys(station.latest)[0] : counts[0]?.[0]
    drawn ??= first ?? null
    await drawDetails('stations', station.id, named(station.name), about, station.latest, drawn ?? 'pm2_5')
  }
}

async function drawDetails(
  at: 'trees' | 'stations', id: string, name: string, about: string, values: Record<string, api.Latest>, shown: string,
): Promise<void> {
  element('tree-name').textContent = name
  element('tree-about').textContent = about
  drawValues(values, shown)
  drawPeriods()
  const readings = await api.series(at, id, shown, areas!.now, days)
  if (id !== selected || (drawn !== null && shown !== drawn)) return // the reader has gone on meanwhile
  element('chart-title').textContent = isCount(shown) && shown !== 'bicycle_count' && shown !== 'people_count'
    ? `${quantity('vehicle_count')}${shown === 'vehicle_count' ? '' : ` ${quantity(shown)}`}`
    : quantity(shown)
  const unsure = readings.times_uncertain
  element('chart-note').replaceChildren(
    ...(unsure === 0 ? [] : [text('span', `${word('times_uncertain')} ${unsure}`)]),
    ...doubts(readings.suspect),
  )
  const newest = readings.value.at(-1)
  const label = `${quantity(shown)}, ${name}: ${newest === undefined ? word('chart_empty') : withUnit(newest, readings.unit)}`
  chart.show(readings, label, readings.act, isCount(shown), (said) => (element('chart-reading').textContent = said))
}

function draw(): void {
  if (!areas || !trees || !stations) return
  drawSummary()
  drawAreas()
  drawLists()
  drawMap()
}

async function load(): Promise<void> {
  ;[areas, trees, stations] = await Promise.all([api.areas(), api.trees(), api.stations()])
  const known = [...trees.features, ...stations.features].some((site) => site.properties.id === selected)
  if (!known) {
    const first = trees.features.find((tree) => tree.properties.state === 'dry') ?? trees.features[0]
    selected = first?.properties.id ?? null
  }
  element('offline').hidden = true
  draw()
  await drawSite()
}

function offline(): void {
  element('offline').hidden = false
  element('offline').textContent = areas ? word('offline', { time: time(areas.now) }) : word('offline_empty')
}

translatePage(() => {
  draw()
  void drawSite()
})
keepFresh(load, offline)
void openMap()
