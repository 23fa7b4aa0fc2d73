import { useEffect, useRef, useState } from 'react';
import { useClient } from 'urql';
import { SegmentSizesDocument, type SegmentSizesQuery } from '../generated';

export type Size = Extract<NonNullable<SegmentSizesQuery['nodes'][number]>, { id: string }>;

/** A count is a call to the provider: few at a time, so that the table never waits for them. */
const BATCH = 10;
/** The 30 days of the column with the sparklines. */
const SHOWN_MS = 30 * 86_400_000;

/** Return the sizes of segments, read batch by batch; null is a size that cannot be read. */
export function useSegmentSizes(ids: readonly string[]): ReadonlyMap<string, Size | null> {
  const client = useClient();
  const [sizes, setSizes] = useState<ReadonlyMap<string, Size | null>>(new Map());
  const known = useRef(new Set<string>());
  const key = ids.join(' ');

  useEffect(() => {
    let isGone = false;
    const since = new Date(Date.now() - SHOWN_MS).toISOString();
    void (async () => {
      const missing = ids.filter((id) => !known.current.has(id));
      for (let start = 0; start < missing.length && !isGone; start += BATCH) {
        const batch = missing.slice(start, start + BATCH);
        const { data } = await client.query(SegmentSizesDocument, { ids: batch, since }).toPromise();
        if (isGone) return;
        batch.forEach((id) => known.current.add(id));
        setSizes((before) => {
          const after = new Map(before);
          batch.forEach((id, index) => {
            const node = data?.nodes[index];
            after.set(id, node && 'id' in node ? (node as Size) : null);
          });
          return after;
        });
      }
    })();
    return () => {
      isGone = true;
    };
  }, [client, key]);
  return sizes;
}
