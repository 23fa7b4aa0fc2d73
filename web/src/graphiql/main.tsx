import 'graphiql/setup-workers/vite';

// Not graphiql/style.css: it repeats Monaco's styles and embeds 0.4 MB of fonts.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import '@graphiql/plugin-explorer/style.css';
import 'graphiql/graphiql.css';
import './page.css';

import { StorageAPI } from '@graphiql/toolkit';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { asTab, loadExamples } from './examples';
import { tailored } from './tailoring';

const all = await loadExamples();

// On a first visit GraphiQL shows the first default tab without its variables and headers:
// those editors are filled from its storage and its properties only (5.4.0).
const storage = new StorageAPI();
const isFirstVisit = storage.get('tabState') === null;
const [first = all[0], ...others] = isFirstVisit ? await tailored(all, '') : all;
const firstTab = asTab(first);
if (isFirstVisit) {
  storage.set('query', firstTab.query);
  storage.set('variables', firstTab.variables ?? '');
}

createRoot(document.getElementById('root')!).render(
  <App
    all={all}
    examples={[first, ...others]}
    storage={storage}
    initialHeaders={(isFirstVisit && firstTab.headers) || undefined}
    isFirstVisit={isFirstVisit}
  />,
);
