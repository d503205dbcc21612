// SPDX-License-Identifier: EUPL-1.2
// A state as a coloured sign; the sign tells it without the colour too.

import type { Kind, Sensor } from './api'
import { word } from './i18n'

export type State = 'green' | 'dry' | 'grey'

const SIGNS: Record<State, string> = { green: '✓', dry: '!', grey: '?' }

export function badge(state: State): HTMLElement {
  const element = document.createElement('span')
  element.className = `badge ${state}`
  element.textContent = SIGNS[state]
  element.setAttribute('aria-hidden', 'true')
  return element
}

const KINDS: Record<Kind, string> = { air: '≈', traffic: '⇄' }

/** What a station measures; grey while its sensors say nothing. */
export function stationBadge(kind: Kind, sensor: Sensor = 'ok'): HTMLElement {
  const element = document.createElement('span')
  element.className = `badge station ${sensor === 'ok' ? kind : 'grey'}`
  element.textContent = KINDS[kind]
  element.setAttribute('aria-hidden', 'true')
  return element
}

export function stateText(state: State): HTMLElement {
  const element = document.createElement('span')
  element.className = 'state'
  element.append(badge(state), word(`${state}_short`))
  return element
}
