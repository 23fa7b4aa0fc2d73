import { explorerPlugin } from '@graphiql/plugin-explorer';
import type { StorageAPI } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { useEffect, useMemo, useState } from 'react';
import { asTab, type Example } from './examples';
import { examplesPlugin } from './ExamplesPanel';
import { authorizationIn, fetcherFor } from './signIn';
import { SignInBar } from './SignInBar';

/** How long a person stops writing headers until they are taken for done. */
const PAUSE_MS = 600;

interface Props {
  examples: [Example, ...Example[]];
  storage: StorageAPI;
  initialHeaders: string | undefined;
}

/** GraphiQL, and above it a place to sign in where the gateway asks for that. */
export function App({ examples, storage, initialHeaders }: Props) {
  // Held in memory alone: a key outlives no visit. The browser's own password store may keep it.
  const [credential, setCredential] = useState('');
  const [isKnown, setIsKnown] = useState(true);
  const [headers, setHeaders] = useState(initialHeaders ?? '');
  const own = useSettled(authorizationIn(headers));
  // GraphiQL asks for the schema again whenever it gets another fetcher.
  const fetcher = useMemo(() => fetcherFor(credential, setIsKnown), [credential, own]);
  const plugins = useMemo(
    () => [examplesPlugin(examples), explorerPlugin({ showAttribution: false }), HISTORY_PLUGIN],
    [examples],
  );

  return (
    <>
      {!isKnown && <SignInBar wasRefused={(own || credential) !== ''} onSignIn={setCredential} />}
      <GraphiQL
        fetcher={fetcher}
        defaultTabs={examples.map(asTab)}
        defaultEditorToolsVisibility
        onTabChange={showActiveTab}
        onEditHeaders={setHeaders}
        initialHeaders={initialHeaders}
        plugins={plugins}
        // Headers hold tokens, so they are kept only when the user chose that in the settings;
        // GraphiQL itself forgets that choice at the next visit (5.4.0).
        shouldPersistHeaders={storage.get('shouldPersistHeaders') === 'true'}
        showPersistHeadersSettings
      >
        <GraphiQL.Logo>Segment gateway</GraphiQL.Logo>
      </GraphiQL>
    </>
  );
}

/** Return a value once it has not changed for a while. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

// With more tabs than fit, GraphiQL leaves a newly opened one out of sight (5.4.0).
function showActiveTab() {
  requestAnimationFrame(() => {
    document.querySelector('.graphiql-tab-active')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
}
