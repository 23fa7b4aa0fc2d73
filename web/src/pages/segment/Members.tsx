import { useState } from 'react';
import { useQuery } from 'urql';
import { CustomerTable } from '../components/CustomerTable';
import { number, plural } from '../components/format';
import { Empty, Failure, Loading, Partial } from '../components/states';
import { SegmentMembersDocument } from '../generated';
import { useReadAnew } from '../live/LiveProvider';

const PAGE = 50;

export function Members({ id }: { id: string }) {
  // The cursors of the pages up to the one that is shown.
  const [trail, setTrail] = useState<readonly string[]>([]);
  const variables = { id, first: PAGE, after: trail.at(-1) ?? null };
  const [{ data, error, fetching }, read] = useQuery({ query: SegmentMembersDocument, variables });
  const again = () => read({ requestPolicy: 'network-only' });
  useReadAnew((change) => change.__typename === 'AssignmentChange' && change.segmentId === id, again);

  if (error && !data?.segment?.customers) return <Failure error={error} onRetry={again} />;
  if (!data) return <Loading what="the members" />;
  const members = data.segment?.customers;
  if (!members) return <Empty title="This provider does not list members" />;
  const { nodes, totalCount, pageInfo, sources } = members;
  const start = trail.length * PAGE;
  const range = `${number(start + 1)}–${number(start + nodes.length)}`;
  if (!nodes.length && !trail.length) {
    return sources.some(({ error: failed }) => failed) ? <Partial sources={sources} /> : <Empty title="Nobody is in this segment" />;
  }
  return (
    <>
      <Partial sources={sources} />
      <CustomerTable label="Members" customers={nodes} />
      <div className="pager">
        <button type="button" disabled={!trail.length || fetching} onClick={() => setTrail(trail.slice(0, -1))}>
          Previous
        </button>
        <span className="dim" role="status">
          {totalCount === null ? range : `${range} of ${plural(totalCount, 'member')}`}
        </span>
        <button type="button" disabled={!pageInfo.hasNextPage || fetching} onClick={() => setTrail([...trail, pageInfo.endCursor!])}>
          Next
        </button>
      </div>
    </>
  );
}
