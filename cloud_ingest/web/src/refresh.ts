// SPDX-License-Identifier: EUPL-1.2
// Keeps a page fresh: loads now, again every few seconds while the page is seen, and when the network comes back.

export function keepFresh(load: () => Promise<void>, failed: () => void, everyMs = 5000): () => void {
  let busy = false
  const run = async () => {
    if (busy || document.hidden) return
    busy = true
    try {
      await load()
    } catch (error) {
      console.warn(error)
      failed()
    } finally {
      busy = false
    }
  }
  void run()
  setInterval(run, everyMs)
  document.addEventListener('visibilitychange', run)
  addEventListener('online', run)
  return run
}
