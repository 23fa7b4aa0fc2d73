import { useDeferredValue, useEffect, useState } from 'react';
import { useClient, useQuery } from 'urql';
import { PageTitle } from '../components/PageTitle';
import { csvOf, download } from '../components/csv';
import { count, plural } from '../components/format';
import { Empty, Failure, Loading, Partial } from '../components/states';
import { type SegmentRowFragment, SegmentsDocument, type SegmentsQuery } from '../generated';
import { useReadAnew } from '../live/LiveProvider';
import { filterOf, type Shown, useShown } from './searchParameters';
import { SegmentFilters } from './SegmentFilters';
import { SegmentTable } from './SegmentTable';
import { type Size, useSegmentSizes } from './useSegmentSizes';

const PAGE = 100;

export function Segments() {
  const [shown, change] = useShown();
  // While somebody types, the table keeps up without a request for every letter.
  const settled = useSettled(shown);
  const { segments, providers, error, isFetching, readAnew, readMore } = useSegmentList(useDeferredValue(settled));
  const rows = segments?.nodes ?? [];
  const sizes = useSegmentSizes(rows.map(({ id }) => id));

  return (
    <section className="page">
      <div className="heading">
        <PageTitle>Segments</PageTitle>
        {segments && (
          <p className="dim" role="status">
            {segments.totalCount === null ? plural(rows.length, 'row') : plural(segments.totalCount, 'segment')}
          </p>
        )}
        <button type="button" disabled={!rows.length} onClick={() => download('segments.csv', asCsv(rows, sizes))}>
          Export as CSV
        </button>
      </div>
      <SegmentFilters shown={shown} providers={providers} onChange={change} />
      {segments && <Partial sources={segments.sources} />}
      {error && !segments && <Failure error={error} onRetry={readAnew} />}
      {!segments && !error && <Loading what="the segments" rows={8} />}
      {segments &&
        (rows.length ? (
          <SegmentTable rows={rows} sizes={sizes} shown={shown} onSort={change} />
        ) : (
          <Empty title="No segment matches">Change the search or the filters above.</Empty>
        ))}
      {segments?.pageInfo.hasNextPage && (
        <button type="button" className="more" disabled={isFetching} onClick={readMore}>
          {isFetching ? 'Loading …' : `Show ${PAGE} more`}
        </button>
      )}
    </section>
  );
}

type Connection = SegmentsQuery['segments'];

function useSegmentList(shown: Shown) {
  const client = useClient();
  const variables = { first: PAGE, filter: filterOf(shown), sortKey: shown.sort, reverse: shown.reverse };
  const [{ data, error, fetching }, read] = useQuery({ query: SegmentsDocument, variables });
  const [more, setMore] = useState<readonly Connection[]>([]);
  const [isFetching, setIsFetching] = useState(false);
  const readAnew = () => {
    setMore([]);
    read({ requestPolicy: 'network-only' });
  };
  useEffect(() => setMore([]), [JSON.stringify(variables)]);
  useReadAnew(({ __typename }) => __typename === 'SegmentChange', readAnew);

  async function readMore() {
    const last = more.at(-1) ?? data?.segments;
    if (!last) return;
    setIsFetching(true);
    const next = await client.query(SegmentsDocument, { ...variables, after: last.pageInfo.endCursor }).toPromise();
    setIsFetching(false);
    if (next.data) setMore((pages) => [...pages, next.data!.segments]);
  }

  const pages = data ? [data.segments, ...more] : [];
  const last = pages.at(-1);
  const segments: Connection | undefined = last && { ...last, nodes: pages.flatMap(({ nodes }) => nodes) };
  return { segments, providers: data?.providers ?? [], error, isFetching: isFetching || fetching, readAnew, readMore };
}

const PAUSE_MS = 200;

function useSettled(shown: Shown): Shown {
  const [settled, setSettled] = useState(shown);
  const key = JSON.stringify(shown);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(shown), shown.search === settled.search ? 0 : PAUSE_MS);
    return () => clearTimeout(timer);
  }, [key]);
  return settled;
}

function asCsv(rows: readonly SegmentRowFragment[], sizes: ReadonlyMap<string, Size | null>): string {
  const head = ['id', 'provider', 'externalId', 'name', 'membership', 'status', 'members', 'createdAt', 'updatedAt'];
  return csvOf([
    head,
    ...rows.map((row) => {
      const size = sizes.get(row.id)?.customersCount;
      return [
        ...[row.id, row.provider.key, row.externalId, row.name, row.membership, row.status],
        size ? (size.precision === 'EXACT' ? size.count : count(size)) : '',
        ...[row.createdAt, row.updatedAt],
      ];
    }),
  ]);
}
