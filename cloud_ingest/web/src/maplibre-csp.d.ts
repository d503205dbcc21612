// SPDX-License-Identifier: EUPL-1.2
// The build of MapLibre for pages with a strict content security policy has the types of the ordinary one.
declare module 'maplibre-gl/dist/maplibre-gl-csp' {
  import maplibregl from 'maplibre-gl'
  export default maplibregl
}
