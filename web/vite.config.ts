import { defineConfig } from 'vite';

export default defineConfig({
  // The gateway serves the folder below at /static/, index.html at /graphql, and pages.html at / and below.
  base: '/static/',
  build: {
    outDir: '../gateway/http/pages/static',
    emptyOutDir: true,
    // Whoever receives the built files receives the licenses of what is in them.
    license: { fileName: 'licenses.md' },
    // tests/browser/test_bundle.py measures what the pages load first.
    manifest: 'manifest.json',
    // Monaco is one chunk of several megabytes by nature, loaded after the page is drawn.
    chunkSizeWarningLimit: 4096,
    rolldownOptions: {
      input: ['index.html', 'pages.html'],
      // Libraries mark modules for server rendering, which these pages do not do.
      checks: { moduleLevelDirective: false },
      // GraphiQL names its icons for screen readers after their functions.
      output: { keepNames: true },
    },
  },
  // GraphiQL's workers are files of their own and import each other's parts.
  worker: { format: 'es' },
});
