// SPDX-License-Identifier: EUPL-1.2
import { readdirSync, readFileSync } from 'node:fs'
import { defineConfig, type Plugin } from 'vite'

// The licences of what the pages are built from, because those ask to be passed on with it.
function licences(): Plugin {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { version?: string; license?: string; dev?: boolean }>
  }
  const texts = Object.entries(lock.packages)
    .filter(([folder, its]) => folder !== '' && !its.dev)
    .map(([folder, its]) => {
      const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name))
      const title = `${folder.replace(/.*node_modules\//, '')} ${its.version} (${its.license ?? 'licence below'})`
      return `${title}\n\n${file === undefined ? '' : readFileSync(`${folder}/${file}`, 'utf8')}`
    })
  return {
    name: 'licences',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'assets/licences.txt', source: texts.join('\n\n----\n\n') })
    },
  }
}

export default defineConfig({
  plugins: [licences()],
  build: {
    // MapLibre alone is over Vite's default warning size; it is loaded by the map page only.
    chunkSizeWarningLimit: 1500,
    rollupOptions: { input: { index: 'index.html', crew: 'crew.html', operator: 'operator.html' } },
  },
})
