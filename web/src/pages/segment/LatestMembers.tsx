import { useMemo } from 'react';
import { Empty, Loading } from '../components/states';
import { LatestChangesDocument } from '../generated';
import { ChangeList } from '../live/ChangeList';
import { useLatestChanges } from '../live/useLatestChanges';

/** Who entered and left within the last day, live. */
export function LatestMembers({ id }: { id: string }) {
  const filter = useMemo(() => ({ segmentIds: [id] }), [id]);
  const changes = useLatestChanges(LatestChangesDocument, filter, 10);
  return (
    <section className="card" aria-labelledby="latest">
      <h2 id="latest">Latest changes</h2>
      {changes === null ? (
        <Loading what="the latest changes" />
      ) : changes.length ? (
        <ChangeList changes={changes} withSegment={false} />
      ) : (
        <Empty title="Nobody entered or left in the last 24 hours" />
      )}
    </section>
  );
}
