// SPDX-License-Identifier: EUPL-1.2
// What every page does with the document.

export function element(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no #${id}`)
  return found
}

export function text<K extends keyof HTMLElementTagNameMap>(tag: K, content: string, className = ''): HTMLElementTagNameMap[K] {
  const created = document.createElement(tag)
  created.textContent = content
  if (className) created.className = className
  return created
}

/** A table with these heads; on a phone each row is a block and each cell says what it is. */
export function table(heads: string[], rows: (string | HTMLElement)[][]): HTMLTableElement {
  const found = document.createElement('table')
  const head = found.createTHead().insertRow()
  for (const name of heads) {
    const cell = text('th', name)
    cell.setAttribute('scope', 'col')
    head.append(cell)
  }
  const body = found.createTBody()
  for (const cells of rows) {
    const row = body.insertRow()
    cells.forEach((content, column) => {
      const cell = row.insertCell()
      cell.dataset.label = heads[column]
      cell.append(content)
    })
  }
  return found
}
