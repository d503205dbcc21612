// SPDX-License-Identifier: EUPL-1.2
import { defineConfig } from 'vite'

export default defineConfig({
  build: {
    // MapLibre alone is over Vite's default warning size; it is loaded by the map page only.
    chunkSizeWarningLimit: 1500,
    rollupOptions: { input: { index: 'index.html', crew: 'crew.html' } },
  },
})
