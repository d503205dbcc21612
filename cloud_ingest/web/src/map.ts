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

export class CityMap {
  private readonly map: maplibregl.Map
  private readonly buttons = new Map<string, HTMLButtonElement>()
  private readonly labels = new Map<string, HTMLElement>()
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
    this.map.addControl(new maplibregl.NavigationControl({ showCompass: false }), 'top-right')
    this.map.addControl(new maplibregl.ScaleControl(), 'bottom-right')
  }

  private drawAreas(): void {
    // A source takes no data before the map has loaded.
    if (this.ready && this.areas) (this.map.getSource('areas') as maplibregl.GeoJSONSource).setData(this.areas)
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
      const top = ring.reduce((best, point) => (point[1]! > best[1]! ? point : best), ring[0]!)
      for (const point of ring) bounds.extend(point as [number, number])
      let label = this.labels.get(area.properties.id)
      if (!label) {
        label = document.createElement('div')
        label.className = 'area-label'
        this.labels.set(area.properties.id, label)
        new maplibregl.Marker({ element: label, anchor: 'bottom', offset: [0, -6] })
          .setLngLat([(Math.min(...ring.map((p) => p[0]!)) + Math.max(...ring.map((p) => p[0]!))) / 2, top[1]!])
          .addTo(this.map)
      }
      label.textContent = named(area.properties.name)
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
  }
}
