// SPDX-License-Identifier: EUPL-1.2
// The operator's page: gateways, nodes to look at, what is missing and what could not be applied. It only shows.

import './style.css'
import * as api from './api'
import { element, table, text } from './dom'
import { duration, locale, named, number, time, translatePage, word, type Names } from './i18n'
import { DETAILS, EVENTS, REASONS } from './operator_words'
import { keepFresh } from './refresh'

const LANES = ['lane_alarm', 'lane_reading', 'lane_diagnostic'] as const

let found: api.Operations | null = null

const count = (value: number): string => number(value, 0)
const said = (words: Record<string, Names>, code: string): string => (words[code] ? named(words[code]) : code)
const moment = (at: string | null): string => (at === null ? '–' : time(at))

function withSmall(main: string, ...small: string[]): HTMLElement {
  const cell = text('span', main)
  cell.append(...small.filter((line) => line !== '').map((line) => text('small', line)))
  return cell
}

function chip(value: string, label: string, ill: boolean): HTMLElement {
  const box = document.createElement('span')
  box.className = ill ? 'count ill' : 'count'
  box.append(text('strong', value), label)
  return box
}

function drawSummary(now: api.Operations): void {
  const letters = now.dead_letters.reduce((sum, one) => sum + one.letters, 0)
  const late = now.gateways.filter((one) => one.overdue).length
  const connected = now.broker === 'connected'
  element('summary').replaceChildren(
    chip(connected ? '✓' : '!', word(connected ? 'broker_connected' : 'broker_lost'), !connected),
    chip(now.writer === null ? '✓' : '!', now.writer ?? word('store_writes'), now.writer !== null),
    chip(`${count(late)} / ${count(now.gateways.length)}`, word('gateways_overdue'), late > 0),
    chip(`${count(now.nodes.length)} / ${count(now.nodes_registered)}`, word('nodes_title'), now.nodes.length > 0),
    chip(count(now.missing), word('records_missing'), now.missing > 0),
    chip(count(letters), word('letters_count'), letters > 0),
    text('span', `${word('as_of')} ${moment(now.now)}`, 'as-of'),
  )
}

function fill(id: string, heads: Parameters<typeof word>[0][], rows: (string | HTMLElement)[][], more = 0): void {
  const parts = rows.length === 0 ? [text('p', word('none'), 'none')] : [table(heads.map((key) => word(key)), rows)]
  if (more > 0) parts.push(text('p', word('not_shown', { count: count(more) }), 'none'))
  element(id).replaceChildren(...parts)
}

function drawNodes(now: api.Operations): void {
  fill('nodes', ['where', 'node', 'state', 'last_reading'], now.nodes.map((node) => [
    withSmall(named(node.name), node.site),
    text('code', node.dev_eui),
    node.sensor === 'ok'
      ? Object.entries(node.sensors).map(([name, state]) => `${name}: ${word(`sensor_${state}`)}`).join(' · ')
      : word(`sensor_${node.sensor}`),
    moment(node.last),
  ]))
}

/** When a gateway was last heard; of one that is overdue in a colour, and in words for who sees none. */
function heard(one: api.Operations['gateways'][number]): HTMLElement {
  const at = one.heard_at === null ? (one.epoch === null ? word('never_heard') : '–') : moment(one.heard_at)
  const cell = withSmall(at, '')
  if (one.overdue) cell.append(text('strong', word('overdue'), 'late'))
  return cell
}

function drawGateways(now: api.Operations): void {
  fill('gateways', ['gateway', 'last_heard', 'stored_up_to', 'dropped', 'unexplained', 'last_event'], now.gateways.map((one) => [
    text('code', one.gateway_eui),
    heard(one),
    one.epoch === null
      ? '–'
      : withSmall('', ...LANES.map((lane, n) => (one.seqs[n] == null ? '' : `${word(lane)} ${count(one.seqs[n])}`))),
    count(one.dropped),
    count(one.unexplained),
    moment(one.last_event),
  ]))
}

function drawGaps(now: api.Operations): void {
  fill('gaps', ['gateway', 'records', 'missing', 'why', 'time_span'], now.gaps.map((gap) => [
    withSmall('', gap.gateway_eui, `${word('epoch')} ${gap.epoch}`),
    `${word(LANES[gap.lane]!)} ${count(gap.first_seq)}–${count(gap.last_seq)}`,
    count(gap.missing),
    withSmall(word(gap.named ? 'dropped' : 'unexplained'), ...gap.nodes.map((node) => `${node.dev_eui}: ${count(node.uplinks)}`)),
    gap.first_at === null ? '–' : `${moment(gap.first_at)} – ${moment(gap.last_at)}`,
  ]), now.gaps_total - now.gaps.length)
}

function drawLetters(now: api.Operations): void {
  const rows = now.dead_letters.map((one) => [withSmall(said(REASONS, one.reason), one.reason), count(one.letters), count(one.times)])
  if (now.tries > 0) rows.push([word('tries'), count(now.tries), ''])
  fill('letters', ['why', 'how_many', 'came'], rows)
}

function detail([name, value]: [string, unknown]): string {
  const told = typeof value !== 'number' ? String(value) : name.endsWith('_s') ? duration(value) : value.toLocaleString(locale())
  return `${said(DETAILS, name)} ${told}`
}

function drawEvents(now: api.Operations): void {
  fill('events', ['time', 'what', 'where', 'details'], now.events.map((event) => [
    withSmall(moment(event.at), ['ntp', 'concentrator'].includes(event.time_quality) ? '' : word('time_uncertain')),
    said(EVENTS, event.kind),
    withSmall(event.site ?? event.dev_eui ?? '', event.site === null ? '' : (event.dev_eui ?? ''), `Gateway ${event.gateway_eui}`),
    Object.entries(event.detail).map(detail).join(', '),
  ]))
}

function draw(): void {
  if (!found) return
  drawSummary(found)
  drawNodes(found)
  drawGateways(found)
  drawGaps(found)
  drawLetters(found)
  drawEvents(found)
  element('counters').replaceChildren(...Object.entries(found.counters).map(([name, value]) => text('li', `${name} ${count(value)}`)))
  document.title = `${word('operator_title')} · ${word('title')}`
}

async function load(): Promise<void> {
  found = await api.operations()
  element('offline').hidden = true
  draw()
}

function offline(): void {
  element('offline').hidden = false
  element('offline').textContent = found?.now ? word('offline', { time: time(found.now) }) : word('offline_empty')
}

translatePage(draw)
keepFresh(load, offline)
