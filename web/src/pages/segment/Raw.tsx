import { useQuery } from 'urql';
import { Empty, Failure, Loading } from '../components/states';
import { SegmentRawDocument } from '../generated';

/** The provider's own document; a request of its own, because it needs a scope of its own. */
export function Raw({ id }: { id: string }) {
  const [{ data, error }] = useQuery({ query: SegmentRawDocument, variables: { id } });
  if (error) return <Failure error={error} />;
  if (!data) return <Loading what="the provider’s document" />;
  if (data.segment?.raw == null) return <Empty title="There is no document of the provider’s" />;
  return <Json value={data.segment.raw} label="The provider’s document" />;
}

export function Json({ value, label }: { value: unknown; label: string }) {
  return (
    <pre tabIndex={0} role="region" aria-label={label}>
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}
