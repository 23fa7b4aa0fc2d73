import { useMemo } from 'react';
import { Empty } from '../components/states';
import { LatestChanges } from '../live/LatestChanges';

/** Who entered and left within the last day, live. */
export function LatestMembers({ id }: { id: string }) {
  const filter = useMemo(() => ({ segmentIds: [id] }), [id]);
  return (
    <section className="card" aria-labelledby="latest">
      <h2 id="latest">Latest changes</h2>
      <LatestChanges filter={filter} length={10} withSegment={false}>
        <Empty title="No change is known from the last 24 hours" />
      </LatestChanges>
    </section>
  );
}
