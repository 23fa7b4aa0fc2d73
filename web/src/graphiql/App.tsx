import { explorerPlugin } from '@graphiql/plugin-explorer';
import type { Fetcher, StorageAPI } from '@graphiql/toolkit';
import { GraphiQL, HISTORY_PLUGIN } from 'graphiql';
import { useEffect, useMemo, useRef, useState } from 'react';
import { SignInForm } from '../SignInForm';
import { CALLS_PLUGIN } from './CallsPanel';
import { asTab, type Example } from './examples';
import { examplesPlugin } from './ExamplesPanel';
import { FirstRun } from './FirstRun';
import { authorizationIn, fetcherFor } from './signIn';

/** How long after the last keystroke the headers count as complete. */
const PAUSE_MS = 600;

interface Props {
  /** The examples of the sandbox. */
  all: readonly Example[];
  /** Those of the first tabs. */
  examples: [Example, ...Example[]];
  storage: StorageAPI;
  initialHeaders: string | undefined;
  isFirstVisit: boolean;
}

/** GraphiQL, with a bar to sign in above it where the gateway requires that. */
export function App({ all, examples, storage, initialHeaders, isFirstVisit }: Props) {
  // In memory only: a key is gone with the page, unless the browser's password manager stores it.
  const [credential, setCredential] = useState('');
  const [isKnown, setIsKnown] = useState(true);
  const [headers, setHeaders] = useState(initialHeaders ?? '');
  const own = useSettled(authorizationIn(headers));
  // GraphiQL loads the schema again whenever it gets another fetcher.
  const latest = useRef<Fetcher>(null);
  const fetcher = useMemo(() => {
    // A late response to earlier credentials says nothing about the current ones.
    const made: Fetcher = fetcherFor(credential, (known) => {
      if (latest.current === made) setIsKnown(known);
    });
    return made;
  }, [credential, own]);
  latest.current = fetcher;
  const authorization = own || (credential && `Bearer ${credential}`);
  const plugins = useMemo(
    () => [examplesPlugin(all, authorization), CALLS_PLUGIN, explorerPlugin({ showAttribution: false }), HISTORY_PLUGIN],
    [all, authorization],
  );

  return (
    <>
      {!isKnown && (
        <SignInForm
          className="graphiql-container sign-in"
          buttonClassName="graphiql-button"
          wasRefused={(own || credential) !== ''}
          onSignIn={setCredential}
        />
      )}
      <GraphiQL
        fetcher={fetcher}
        defaultTabs={examples.map(asTab)}
        defaultEditorToolsVisibility
        onTabChange={showActiveTab}
        onEditHeaders={setHeaders}
        initialHeaders={initialHeaders}
        plugins={plugins}
        // Headers contain tokens, so they are stored only if the user chose that in the settings;
        // GraphiQL itself forgets that choice on the next visit (5.4.0).
        shouldPersistHeaders={storage.get('shouldPersistHeaders') === 'true'}
        showPersistHeadersSettings
      >
        <GraphiQL.Logo>
          <a href="/">Segment gateway</a>
          {isFirstVisit && <FirstRun />}
        </GraphiQL.Logo>
      </GraphiQL>
    </>
  );
}

/** Return a value once it has stopped changing. */
function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

// If there are more tabs than fit, GraphiQL does not scroll to a newly opened one (5.4.0).
function showActiveTab() {
  requestAnimationFrame(() => {
    document.querySelector('.graphiql-tab-active')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
}
