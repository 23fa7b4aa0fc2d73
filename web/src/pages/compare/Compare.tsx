import { useQuery } from 'urql';
import { useSearchParams } from 'wouter';
import { PageTitle } from '../components/PageTitle';
import { number, plural } from '../components/format';
import { Empty, Failure, Loading } from '../components/states';
import { Time } from '../components/Time';
import { ChosenSegmentsDocument, ComparisonDocument, type SegmentRowFragment } from '../generated';
import { useReadAnew } from '../live/LiveProvider';
import { Chooser } from './Chooser';
import { Regions } from './Regions';

const FEWEST = 2;
const MOST = 6;

export default function Compare() {
  const [parameters, setParameters] = useSearchParams();
  const ids = parameters.getAll('segment').slice(0, MOST);
  const choose = (next: readonly string[]) => setParameters(next.map((id) => ['segment', id]), { replace: true });
  const [chosen] = useQuery({ query: ChosenSegmentsDocument, variables: { ids }, pause: !ids.length });
  const segments = (chosen.data?.nodes ?? []).filter((node): node is SegmentRowFragment => node !== null && 'id' in node);

  return (
    <section className="page">
      <PageTitle>Compare segments</PageTitle>
      <Chooser
        ids={ids}
        chosen={segments}
        areRead={chosen.data !== undefined && !chosen.fetching && !chosen.stale}
        isFull={ids.length >= MOST}
        onAdd={(id) => choose([...ids, id])}
        onRemove={(id) => choose(ids.filter((each) => each !== id))}
      />
      {ids.length < FEWEST ? (
        <Empty title={ids.length ? 'Choose one more segment' : 'Choose two to six segments'}>
          You will see how many customers they share, and who they are.
        </Empty>
      ) : (
        <Result ids={ids} />
      )}
    </section>
  );
}

function Result({ ids }: { ids: readonly string[] }) {
  const variables = { segmentIds: [...ids] };
  const [{ data, error, stale }, read] = useQuery({ query: ComparisonDocument, variables });
  const again = () => read({ requestPolicy: 'network-only' });
  useReadAnew((change) => ids.includes(change.segmentId), again);
  const comparison = data?.segmentsCompare;
  if (error && !comparison) return <Failure error={error} onRetry={again} />;
  if (!comparison) return <Loading what="the comparison" rows={6} />;
  const unlinked = comparison.sets.reduce((sum, set) => sum + set.unlinked, 0);
  return (
    <>
      <p className="dim" role="status">
        {plural(comparison.total, 'customer')} in any of them, as of <Time at={comparison.asOf} />
        {stale && ' · reading …'}
      </p>
      {unlinked > 0 && (
        <p className="partial">
          {number(unlinked)} of them are linked to nobody at another provider: a missing link is not the same as no overlap.
        </p>
      )}
      <Regions comparison={comparison} />
    </>
  );
}
