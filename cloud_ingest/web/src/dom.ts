// SPDX-License-Identifier: EUPL-1.2
// The two things every page does with the document.

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
