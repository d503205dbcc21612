// SPDX-License-Identifier: EUPL-1.2
// The crew's page: what to water today, how much, why, and which sensors to look at.

import './style.css'
import * as api from './api'
import { badge } from './badge'
import { element, text } from './dom'
import { named, number, quantity, time, translatePage, withUnit, word } from './i18n'
import { keepFresh } from './refresh'

let list: api.CrewList | null = null

/** Which trees, and how much for each; an id and its hyphen stay on one line, and so do a figure and its unit. */
function trees(area: api.CrewList['areas'][number]): HTMLElement {
  const line = text('p', '', 'trees')
  area.trees.forEach((tree, n) => line.append(`${n === 0 ? '' : ', '}${named(tree.name)} `, text('span', tree.id, 'id')))
  line.append(` · ${number(area.litres_per_tree, 0)}\u00a0${word('litres')} ${word('per_tree')}`)
  return line
}

function stop(area: api.CrewList['areas'][number]): HTMLElement {
  const item = document.createElement('li')
  item.dataset.area = area.id
  const title = text('h2', named(area.name))
  title.append(text('span', `${number(area.litres, 0)} ${word('litres')}`, 'litres'))
  const why = word(area.why.direction === 'below' ? 'why_below' : 'why_above', {
    quantity: quantity(area.why.quantity),
    value: withUnit(area.why.value, area.why.unit),
    threshold: withUnit(area.why.threshold, area.why.unit),
  })
  item.append(
    title,
    text('p', `${why} (${word('since')} ${time(area.why.since)}).`, 'why'),
    trees(area),
  )
  if (area.sensor_lost) item.append(text('p', word('sensor_lost')))
  const go = text('a', word('navigate'), 'go')
  go.href = `geo:${area.center[1]},${area.center[0]}?q=${area.center[1]},${area.center[0]}`
  const online = text('a', word('on_a_map'), 'on-a-map') // a desktop knows no geo: addresses
  online.href = `https://www.openstreetmap.org/?mlat=${area.center[1]}&mlon=${area.center[0]}&zoom=18`
  online.rel = 'noreferrer'
  item.append(go, online)
  return item
}

function draw(): void {
  if (!list) return
  const litres = number(list.litres, 0)
  const count = list.areas.length
  element('crew-summary').textContent =
    count === 0 ? word('nothing_dry') : count === 1 ? word('one_stop', { litres }) : word('stops', { count: String(count), litres })
  element('as-of').textContent = `${word('as_of')} ${time(list.now)}`
  element('stops').replaceChildren(...list.areas.map(stop))
  element('check').hidden = list.sensors.length === 0
  element('check-list').replaceChildren(
    ...list.sensors.map((sensor) => {
      const item = document.createElement('li')
      item.dataset.tree = sensor.tree
      const last = sensor.last === null ? '' : `, ${word('last_reading')} ${time(sensor.last)}`
      item.append(badge('grey'), text('span', `${named(sensor.name)} ${sensor.tree}, ${named(sensor.area_name)}: ${word(`sensor_${sensor.sensor}`)}${last}`))
      return item
    }),
  )
  document.title = `${word('crew_title')} · ${word('title')} ${named(list.city.name)}`
}

async function load(): Promise<void> {
  list = await api.crew()
  element('offline').hidden = true
  draw()
}

function offline(): void {
  element('offline').hidden = false
  element('offline').textContent = list ? word('offline', { time: time(list.now) }) : word('offline_empty')
}

translatePage(draw)
keepFresh(load, offline)
