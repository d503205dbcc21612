// SPDX-License-Identifier: EUPL-1.2
// One quantity of one tree or station over time, with the threshold below (or above) which a tree is watered.

import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Series } from './api'
import { locale, time, withUnit, word } from './i18n'

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

  /** `reading` gets what the reader points at, in words. */
  show(series: Series, label: string, threshold: number | null, bars: boolean, reading: (text: string) => void): void {
    this.plot?.destroy()
    this.plot = null
    this.container.setAttribute('aria-label', label)
    reading(threshold === null ? '' : `– – ${word('threshold')} ${withUnit(threshold, series.unit)}`)
    if (series.at.length === 0) {
      this.container.textContent = word('chart_empty')
      return
    }
    this.container.textContent = ''
    const wanted = series.value.concat(threshold ?? [])
    const low = bars ? 0 : Math.min(...wanted)
    const high = Math.max(...wanted)
    const margin = Math.max((high - low) * 0.1, 0.5)
    const limits = series.at.map(() => threshold)
    this.plot = new uPlot(
      {
        ...this.size(),
        padding: [10, 50, 0, 0], // the last time, such as "30. Sept., 00:00", stands half beyond the end
        tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), 'Europe/Berlin'),
        fmtDate: () => (date) => date.toLocaleString(locale(), { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' }),
        legend: { show: false },
        scales: {
          x: { range: [Date.parse(series.from) / 1000, Date.parse(series.to) / 1000] },
          y: { range: [bars ? 0 : low - margin, high + margin] },
        },
        axes: [
          { stroke: INK, grid: GRID, space: 120 },
          {
            stroke: INK,
            grid: GRID,
            size: (_, labels) => Math.max(64, ...(labels ?? []).map((label) => 16 + 7 * label.length)), // 12 px letters
            values: (_, ticks) => ticks.map((tick) => withUnit(tick, series.unit)),
          },
        ],
        series: [
          {},
          bars
            ? { stroke: '#0b6e6e', fill: '#0b6e6e88', width: 1, points: { show: false }, paths: uPlot.paths.bars!({ size: [0.9, 40] }) }
            : { stroke: '#0b6e6e', width: 2, points: { show: series.at.length < 40 }, spanGaps: false },
          { stroke: '#b3500b', width: 1.5, dash: [6, 4], points: { show: false } },
        ],
        hooks: {
          setCursor: [
            (plot) => {
              const index = plot.cursor.idx
              if (index === null || index === undefined) return
              const at = new Date(series.at[index]! * 1000).toISOString()
              reading(`${time(at)}: ${withUnit(series.value[index]!, series.unit)}`)
            },
          ],
        },
      },
      [series.at, series.value, limits] as uPlot.AlignedData,
      this.container,
    )
  }
}
