// SPDX-License-Identifier: EUPL-1.2
// One quantity of one tree over time, with the threshold below (or above) which it is watered.

import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Series } from './api'
import { locale, number, word } from './i18n'

const INK = '#51655f'
const GRID = { stroke: '#d5dedb', width: 1 }

export class Chart {
  private plot: uPlot | null = null

  constructor(private readonly container: HTMLElement) {
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(container)
  }

  private size() {
    return { width: Math.max(this.container.clientWidth, 200), height: 220 }
  }

  show(series: Series, label: string, threshold: number | null): void {
    this.plot?.destroy()
    this.plot = null
    this.container.setAttribute('aria-label', label)
    if (series.at.length === 0) {
      this.container.textContent = word('chart_empty')
      return
    }
    this.container.textContent = ''
    const wanted = series.value.concat(threshold ?? [])
    const low = Math.min(...wanted)
    const high = Math.max(...wanted)
    const margin = Math.max((high - low) * 0.1, 0.5)
    const limits = series.at.map(() => threshold)
    this.plot = new uPlot(
      {
        ...this.size(),
        tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), 'Europe/Berlin'),
        fmtDate: () => (date) => date.toLocaleString(locale(), { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }),
        legend: { show: false },
        scales: { y: { range: [low - margin, high + margin] } },
        axes: [
          { stroke: INK, grid: GRID, space: 110 },
          { stroke: INK, grid: GRID, values: (_, ticks) => ticks.map((tick) => number(tick, 1)) },
        ],
        series: [
          {},
          { stroke: '#0b6e6e', width: 2, points: { show: series.at.length < 40 }, spanGaps: false },
          { stroke: '#b3500b', width: 1.5, dash: [6, 4], points: { show: false } },
        ],
      },
      [series.at, series.value, limits] as uPlot.AlignedData,
      this.container,
    )
  }
}
