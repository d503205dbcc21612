// SPDX-License-Identifier: EUPL-1.2
// The public page: how thirsty the city's trees are, on a map, in a list, and one tree over time.

import './style.css'
import * as api from './api'
import { badge, stateText, type State } from './badge'
import { Chart } from './chart'
import { element, text } from './dom'
import { named, number, quantity, time, translatePage, withUnit, word } from './i18n'
import type { CityMap } from './map'
import { keepFresh } from './refresh'

const PERIOD_DAYS = [1, 7, 30] as const
const COLUMNS = ['area', 'state', 'value', 'threshold'] as const
const STATES: State[] = ['dry', 'green', 'grey']

let areas: api.AreaCollection | null = null
let trees: api.TreeCollection | null = null
let selected = new URLSearchParams(location.search).get('tree')
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
  if (map && areas && trees) map.show(areas, trees, selected)
}

function choose(treeId: string): void {
  selected = treeId
  const url = new URL(location.href)
  url.searchParams.set('tree', treeId)
  history.replaceState(null, '', url)
  draw()
  const tree = trees?.features.find((feature) => feature.properties.id === treeId)
  if (tree) map?.focus(tree)
  void drawTree()
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
  )
}

function drawAreas(): void {
  const table = document.createElement('table')
  const head = table.createTHead().insertRow()
  for (const key of COLUMNS) {
    const cell = text('th', word(key))
    cell.setAttribute('scope', 'col')
    head.append(cell)
  }
  const body = table.createTBody()
  for (const { properties: area } of areas!.features) {
    const row = body.insertRow()
    const cells: [(typeof COLUMNS)[number], string | HTMLElement][] = [
      ['area', named(area.name)],
      ['state', stateText(area.state)],
      ['value', area.value === null ? '–' : `${quantity(area.quantity)} ${withUnit(area.value, area.unit)}`],
      ['threshold', withUnit(area.act, area.unit)],
    ]
    for (const [column, content] of cells) {
      const cell = row.insertCell()
      cell.dataset.label = word(column) // on a phone each row is a block and each cell says what it is
      cell.append(content)
    }
  }
  element('areas').replaceChildren(table)
}

function drawTreeList(): void {
  element('tree-list').replaceChildren(
    ...trees!.features.map(({ properties: tree }) => {
      const button = document.createElement('button')
      button.type = 'button'
      button.dataset.tree = tree.id
      button.setAttribute('aria-pressed', String(tree.id === selected))
      const about = document.createElement('span')
      about.append(named(tree.name), text('small', `${tree.id} · ${areaName(tree.area)} · ${word(`${tree.state}_short`)}`))
      button.append(badge(tree.state), about)
      button.addEventListener('click', () => {
        choose(tree.id)
        element('tree').scrollIntoView({ block: 'nearest' })
      })
      const item = document.createElement('li')
      item.append(button)
      return item
    }),
  )
}

const areaName = (id: string) => named(areas!.features.find((area) => area.properties.id === id)!.properties.name)

async function drawTree(): Promise<void> {
  const tree = trees?.features.find((feature) => feature.properties.id === selected)?.properties
  if (!tree || !areas) return
  element('tree-name').textContent = named(tree.name)
  element('tree-about').textContent = `${tree.latin} · ${tree.id} · ${areaName(tree.area)} · ${word('planted')} ${tree.planted}`
  element('tree-state').replaceChildren(stateText(tree.state), ` · ${word(`sensor_${tree.sensor}`)}`)
  element('tree-values').replaceChildren(
    ...Object.entries(tree.latest)
      .filter(([name]) => name !== 'battery_voltage')
      .map(([name, latest]) => {
        const box = document.createElement('div')
        const value = latest.value === null ? '–' : withUnit(latest.value, latest.unit)
        box.append(text('dt', quantity(name)), text('dd', value), text('small', time(latest.at)))
        return box
      }),
  )
  element('periods').replaceChildren(
    ...PERIOD_DAYS.map((period) => {
      const button = text('button', word(`period_${period}`))
      button.setAttribute('aria-pressed', String(period === days))
      button.addEventListener('click', () => {
        days = period
        void drawTree()
      })
      return button
    }),
  )
  const rule = areas.features.find((area) => area.properties.id === tree.area)!.properties
  const readings = await api.series(tree.id, rule.quantity, areas.now, days)
  if (tree.id !== selected) return // the reader has gone on to another tree meanwhile
  element('chart-title').textContent = quantity(rule.quantity)
  const newest = readings.value.at(-1)
  const label = `${quantity(rule.quantity)}, ${named(tree.name)}: ${newest === undefined ? word('chart_empty') : `${number(newest)} ${readings.unit}`}`
  chart.show(readings, label, readings.act, (said) => (element('chart-reading').textContent = said))
}

function draw(): void {
  if (!areas || !trees) return
  drawSummary()
  drawAreas()
  drawTreeList()
  drawMap()
}

async function load(): Promise<void> {
  ;[areas, trees] = await Promise.all([api.areas(), api.trees()])
  const known = trees.features.some((tree) => tree.properties.id === selected)
  if (!known) {
    const first = trees.features.find((tree) => tree.properties.state === 'dry') ?? trees.features[0]
    selected = first?.properties.id ?? null
  }
  element('offline').hidden = true
  draw()
  await drawTree()
}

function offline(): void {
  element('offline').hidden = false
  element('offline').textContent = areas ? word('offline', { time: time(areas.now) }) : word('offline_empty')
}

translatePage(() => {
  draw()
  void drawTree()
})
keepFresh(load, offline)
void openMap()
