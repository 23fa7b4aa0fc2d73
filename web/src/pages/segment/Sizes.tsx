import { useState } from 'react';
import { useQuery } from 'urql';
import { count } from '../components/format';
import { Empty, Failure, Loading } from '../components/states';
import { SegmentSizeDocument, type SizeInterval } from '../generated';
import { useReadAnew } from '../live/LiveProvider';
import { SizeChart } from './SizeChart';

export function Sizes({ id }: { id: string }) {
  const [interval, setInterval] = useState<SizeInterval>('DAY');
  const [{ data, error }, read] = useQuery({ query: SegmentSizeDocument, variables: { id, interval } });
  const again = () => read({ requestPolicy: 'network-only' });
  useReadAnew((change) => change.segmentId === id, again);
  const segment = data?.segment;
  return (
    <section className="card" aria-labelledby="size">
      <header>
        <h2 id="size">
          Members {segment?.customersCount && <strong className="figure">{count(segment.customersCount)}</strong>}
        </h2>
        <select aria-label="Period" value={interval} onChange={({ target }) => setInterval(target.value as SizeInterval)}>
          <option value="HOUR">48 hours</option>
          <option value="DAY">90 days</option>
        </select>
      </header>
      {error && !segment ? (
        <Failure error={error} onRetry={again} />
      ) : !data ? (
        <Loading what="the sizes" rows={1} className="chart-bone" />
      ) : segment?.sizeHistory?.length ? (
        <SizeChart points={segment.sizeHistory} interval={interval} />
      ) : (
        <Empty title="No size is known yet">Sizes are kept from the first time that somebody reads them.</Empty>
      )}
    </section>
  );
}
