import { useEffect, useRef, useState } from 'react';
import { useClient } from 'urql';
import type { CombinedError } from '@urql/core';
import { type ChangeFilter, LatestChangesDocument } from '../generated';
import { useChanges, useLive } from './LiveProvider';
import type { Change } from './followChanges';

const DAY_MS = 86_400_000;
const MAX_PAGES = 8;

interface Latest {
  /** Newest first; null until they are read. */
  changes: readonly Change[] | null;
  error: CombinedError | undefined;
}

/** Return the newest changes of these days, kept up to date. Days null: all there are. */
export function useLatestChanges(filter: ChangeFilter, length: number, days: number | null): Latest {
  const client = useClient();
  const { gaps } = useLive();
  const [changes, setChanges] = useState<readonly Change[] | null>(null);
  const [error, setError] = useState<CombinedError>();
  const key = JSON.stringify(filter);
  const gapsBefore = useRef(gaps);

  useEffect(() => {
    let isGone = false;
    // After a gap the log may be another one: what was in the old one is not in it.
    if (gapsBefore.current !== gaps) setChanges(null);
    gapsBefore.current = gaps;
    void (async () => {
      // The log is read from its oldest entry on, so a page begins with its last day.
      const since = days === null ? null : new Date(Date.now() - days * DAY_MS).toISOString();
      let after: string | null = null;
      let latest: Change[] = [];
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const { data, error: problem } = await client
          .query(LatestChangesDocument, { filter: { ...(JSON.parse(key) as ChangeFilter), since }, after }, { requestPolicy: 'network-only' })
          .toPromise();
        if (isGone) return;
        setError(problem);
        if (!data?.changes) return;
        latest = [...data.changes.nodes].reverse().concat(latest).slice(0, length);
        if (!data.changes.pageInfo.hasNextPage) break;
        after = data.changes.pageInfo.endCursor;
      }
      setChanges((newer) => merged(newer ?? [], latest, length));
    })();
    return () => {
      isGone = true;
    };
  }, [client, key, length, days, gaps]);

  useChanges((change) => {
    if (matches(change, filter)) setChanges((older) => merged([change], older ?? [], length));
  });
  return { changes, error };
}

function matches(change: Change, { segmentIds, customerIds }: ChangeFilter): boolean {
  if (customerIds && !(change.__typename === 'AssignmentChange' && customerIds.includes(change.customerId))) return false;
  return !segmentIds || segmentIds.includes(change.segmentId);
}

function merged(newer: readonly Change[], older: readonly Change[], length: number): readonly Change[] {
  const known = new Set(newer.map(({ id }) => id));
  return [...newer, ...older.filter(({ id }) => !known.has(id))].slice(0, length);
}
