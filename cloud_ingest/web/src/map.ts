// SPDX-License-Identifier: EUPL-1.2
// The map: reference areas as polygons, trees and stations as buttons. Needs no tiles, no fonts and no internet: a background
// colour and our own GeoJSON.

import maplibregl from 'maplibre-gl/dist/maplibre-gl-csp'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-csp-worker?url'
import 'maplibre-gl/dist/maplibre-gl.css'
import type { AreaCollection, StationCollection, TreeCollection } from './api'
import { badge, stationBadge } from './badge'
import { named, word, type Word } from './i18n'

// The worker as a file of our own: a strict content security policy allows no script from a blob.
maplibregl.setWorkerUrl(workerUrl)

const COLOURS = ['match', ['get', 'state'], 'green', '#1b7f4d', 'dry', '#b3500b', '#66707a'] as unknown as string

interface AreaLabel {
  readonly element: HTMLElement
  readonly marker: maplibregl.Marker
  readonly above: [number, number] // the middle of the area's upper edge, and of its lower one
  readonly below: [number, number]
}

function sharedPixels(a: DOMRect, b: DOMRect): number {
  const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left)
  const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
  return wide > 0 && high > 0 ? wide * high : 0
}

export class CityMap {
  private readonly map: maplibregl.Map
  private readonly buttons = new Map<string, HTMLButtonElement>()
  private readonly labels = new Map<string, AreaLabel>()
  private fitted = false
  private ready = false
  private areas: AreaCollection | null = null

  constructor(container: HTMLElement, private readonly chosen: (id: string) => void) {
    this.map = new maplibregl.Map({
      container,
      style: {
        version: 8,
        sources: { areas: { type: 'geojson', data: { type: 'FeatureCollection', features: [] } } },
        layers: [
          { id: 'ground', type: 'background', paint: { 'background-color': '#e9efec' } },
          {
            // From far away an area is smaller than the signs of its trees; the halo shows it all the same.
            id: 'area-halo', type: 'line', source: 'areas', layout: { 'line-join': 'round' },
            paint: { 'line-color': COLOURS, 'line-opacity': 0.3, 'line-width': ['interpolate', ['linear'], ['zoom'], 12, 34, 16, 0] },
          },
          { id: 'area-fill', type: 'fill', source: 'areas', paint: { 'fill-color': COLOURS, 'fill-opacity': 0.25 } },
          { id: 'area-edge', type: 'line', source: 'areas', paint: { 'line-color': COLOURS, 'line-width': 2 } },
        ],
      },
      center: [11.586, 50.927],
      zoom: 12,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
    })
    this.map.once('load', () => {
      this.ready = true
      this.drawAreas()
    })
    this.map.on('moveend', () => this.arrangeLabels())
    this.map.addControl(new maplibregl.NavigationControl({ showCompass: false }), 'top-right')
    this.map.addControl(new maplibregl.ScaleControl(), 'bottom-right')
  }

  private drawAreas(): void {
    // A source takes no data before the map has loaded.
    if (this.ready && this.areas) (this.map.getSource('areas') as maplibregl.GeoJSONSource).setData(this.areas)
  }

  /** Put each area's name where it hides no sign, no other name, and is whole; else where it hides least. */
  private arrangeLabels(): void {
    const frame = this.map.getContainer().getBoundingClientRect()
    const overlaid = this.map.getContainer().parentElement?.querySelectorAll('.maplibregl-ctrl, #legend') ?? []
    const taken = [...this.buttons.values(), ...overlaid].map((sign) => sign.getBoundingClientRect())
    for (const { element, marker, above, below } of this.labels.values()) {
      const { width, height } = element.getBoundingClientRect()
      let best: { cost: number; at: [number, number]; offset: [number, number]; box: DOMRect } | null = null
      for (const gap of [6, 18, 30]) {
        for (const aside of [0, -width / 2, width / 2]) {
          for (const [at, down] of [[above, -gap], [below, gap + height]] as const) {
            const { x, y } = this.map.project(at)
            const seen = x >= 0 && x <= frame.width // the name of an area that is out of view goes out with it
            const wanted = x + aside - width / 2
            const left = seen ? Math.max(0, Math.min(frame.width - width, wanted)) : wanted
            const box = new DOMRect(frame.left + left, frame.top + y + down - height, width, height)
            const cut = width * height - sharedPixels(box, frame)
            const hidden = taken.reduce((sum, other) => sum + sharedPixels(box, other), cut)
            const cost = hidden + 4 * gap + Math.abs(aside) // rather near than without the last overlap
            if (!best || cost < best.cost) best = { cost, at, offset: [left + width / 2 - x, down], box }
          }
        }
      }
      if (!best) continue
      marker.setLngLat(best.at).setOffset(best.offset)
      taken.push(best.box)
    }
  }

  private name(selector: string, key: Word): void {
    for (const part of this.map.getContainer().querySelectorAll<HTMLElement>(selector)) {
      part.setAttribute('aria-label', word(key))
      if (part instanceof HTMLButtonElement) part.title = word(key)
    }
  }

  /** Bring a tree or station into view, near enough that its neighbours stand apart. */
  focus(place: [number, number]): void {
    this.map.easeTo({ center: place, zoom: Math.max(this.map.getZoom(), 15.5) })
  }

  /** A button at a place; made once, then kept up to date. */
  private mark(id: string, name: string, place: [number, number], sign: HTMLElement, selected: boolean): void {
    let button = this.buttons.get(id)
    if (!button) {
      button = document.createElement('button')
      button.type = 'button'
      button.className = 'site-marker'
      button.dataset.site = id
      button.addEventListener('click', () => this.chosen(id))
      this.buttons.set(id, button)
      new maplibregl.Marker({ element: button }).setLngLat(place).addTo(this.map)
    }
    button.replaceChildren(sign)
    button.title = `${name} ${id}`
    button.setAttribute('aria-label', `${name} ${id}`)
    button.setAttribute('aria-pressed', String(selected))
  }

  show(areas: AreaCollection, trees: TreeCollection, stations: StationCollection, selected: string | null): void {
    this.areas = areas
    this.drawAreas()
    this.name('.maplibregl-canvas', 'map_label')
    this.name('.maplibregl-ctrl-zoom-in', 'zoom_in')
    this.name('.maplibregl-ctrl-zoom-out', 'zoom_out')
    const bounds = new maplibregl.LngLatBounds()
    for (const area of areas.features) {
      const ring = area.geometry.coordinates[0] ?? []
      for (const point of ring) bounds.extend(point as [number, number])
      let label = this.labels.get(area.properties.id)
      if (!label) {
        const element = document.createElement('div')
        element.className = 'area-label'
        const [lons, lats] = [ring.map((point) => point[0]!), ring.map((point) => point[1]!)]
        const middle = (Math.min(...lons) + Math.max(...lons)) / 2
        const above: [number, number] = [middle, Math.max(...lats)]
        const marker = new maplibregl.Marker({ element, anchor: 'bottom', offset: [0, -6] }).setLngLat(above).addTo(this.map)
        label = { element, marker, above, below: [middle, Math.min(...lats)] }
        this.labels.set(area.properties.id, label)
      }
      label.element.textContent = named(area.properties.name)
    }
    for (const { geometry, properties: tree } of trees.features) {
      this.mark(tree.id, named(tree.name), geometry.coordinates as [number, number], badge(tree.state), tree.id === selected)
    }
    for (const { geometry, properties: station } of stations.features) {
      const place = geometry.coordinates as [number, number]
      bounds.extend(place)
      const words = `${word(`${station.kind}_station`)} ${named(station.name)}`
      this.mark(station.id, words, place, stationBadge(station.kind, station.sensor), station.id === selected)
    }
    if (!this.fitted && !bounds.isEmpty()) {
      this.fitted = true
      const side = this.map.getContainer().clientWidth < 500 ? 84 : 110 // half the width of an area's name
      this.map.fitBounds(bounds, { padding: { top: 70, bottom: 60, left: side, right: side }, animate: false, maxZoom: 16 })
    }
    this.arrangeLabels()
  }
}
