import { useState } from 'react';
import { useQuery } from 'urql';
import { CustomerTable } from '../components/CustomerTable';
import { plural } from '../components/format';
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
  return (
    <>
      <Partial sources={members.sources} />
      {members.nodes.length ? (
        <CustomerTable label="Members" customers={members.nodes} />
      ) : (
        <Empty title="Nobody is in this segment" />
      )}
      <div className="pager">
        <button type="button" disabled={!trail.length || fetching} onClick={() => setTrail(trail.slice(0, -1))}>
          Previous
        </button>
        <span className="dim" role="status">
          {members.totalCount === null ? `Page ${trail.length + 1}` : `Page ${trail.length + 1} of ${plural(members.totalCount, 'member')}`}
        </span>
        <button
          type="button"
          disabled={!members.pageInfo.hasNextPage || fetching}
          onClick={() => setTrail([...trail, members.pageInfo.endCursor!])}
        >
          Next
        </button>
      </div>
    </>
  );
}
