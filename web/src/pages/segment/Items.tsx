import { useQuery } from 'urql';
import { number } from '../components/format';
import { Empty, Failure, Loading } from '../components/states';
import { SegmentItemsDocument } from '../generated';
import { titled } from '../components/format';

export function Items({ id }: { id: string }) {
  const [{ data, error }, read] = useQuery({ query: SegmentItemsDocument, variables: { id } });
  if (error && !data?.segment?.items) return <Failure error={error} onRetry={() => read({ requestPolicy: 'network-only' })} />;
  if (!data) return <Loading what="the items" />;
  const items = data.segment?.items;
  if (!items) return <Empty title="This provider’s segments have no items" />;
  if (!items.nodes.length) return <Empty title="No products or categories are in this segment" />;
  return (
    <>
      <div className="table-frame" tabIndex={0} role="region" aria-label="Items">
        <table>
          <thead>
            <tr>
              <th scope="col">Item</th>
              <th scope="col">Type</th>
              <th scope="col">Code</th>
            </tr>
          </thead>
          <tbody>
            {items.nodes.map((item) => (
              <tr key={`${item.type} ${item.externalId}`}>
                <th scope="row">{item.name ?? <code>{item.externalId}</code>}</th>
                <td>{titled(item.type)}</td>
                <td>{item.code ?? '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {items.pageInfo.hasNextPage && (
        <p className="dim">The first {number(items.nodes.length)}{items.totalCount !== null && ` of ${number(items.totalCount)}`}.</p>
      )}
    </>
  );
}
