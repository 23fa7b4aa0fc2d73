import 'graphiql/setup-workers/vite';

// Not graphiql/style.css: it repeats Monaco's styles and embeds 0.4 MB of fonts.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import '@graphiql/plugin-explorer/style.css';
import 'graphiql/graphiql.css';
import './page.css';

import { explorerPlugin } from '@graphiql/plugin-explorer';
import { createGraphiQLFetcher, StorageAPI } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { asTab, loadExamples } from './examples';
import { examplesPlugin } from './ExamplesPanel';

// The page lives at its endpoint. Subscriptions go to the same path over a WebSocket.
const endpoint = new URL(location.pathname, location.origin);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol.replace('http', 'ws');
const fetcher = createGraphiQLFetcher({
  url: endpoint.href,
  subscriptionUrl: socket.href,
  enableIncrementalDelivery: false,
});

const examples = await loadExamples();

// On a first visit GraphiQL shows the first default tab without its variables and headers:
// it fills those editors from its storage and its properties only (5.4.0).
const storage = new StorageAPI();
const isFirstVisit = storage.get('tabState') === null;
const firstTab = asTab(examples[0]);
if (isFirstVisit) {
  storage.set('query', firstTab.query);
  storage.set('variables', firstTab.variables ?? '');
}

// With more tabs than fit, GraphiQL leaves a newly opened one out of sight (5.4.0).
function showActiveTab() {
  requestAnimationFrame(() => {
    document.querySelector('.graphiql-tab-active')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
}

createRoot(document.getElementById('root')!).render(
  <GraphiQL
    fetcher={fetcher}
    defaultTabs={examples.map(asTab)}
    defaultEditorToolsVisibility
    onTabChange={showActiveTab}
    initialHeaders={(isFirstVisit && firstTab.headers) || undefined}
    plugins={[examplesPlugin(examples), explorerPlugin({ showAttribution: false }), HISTORY_PLUGIN]}
    // Headers hold tokens, so they are kept only when the user chose that in the settings;
    // GraphiQL itself forgets that choice at the next visit (5.4.0).
    shouldPersistHeaders={storage.get('shouldPersistHeaders') === 'true'}
    showPersistHeadersSettings
  >
    <GraphiQL.Logo>Segment gateway</GraphiQL.Logo>
  </GraphiQL>,
);
