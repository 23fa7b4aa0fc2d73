import { useEffect, useRef, useState } from 'react';
import { useClient, useQuery } from 'urql';
import { CustomerTable } from '../components/CustomerTable';
import { csvOf, download } from '../components/csv';
import { number } from '../components/format';
import { Failure, Loading } from '../components/states';
import { type ComparisonQuery, RegionCustomersDocument, type RegionCustomersQuery } from '../generated';
import { UpSet } from './UpSet';

type Comparison = NonNullable<ComparisonQuery['segmentsCompare']>;
type Region = Comparison['regions'][number];

/** More of them at once would exceed the default of `limits.cost`. */
const PAGE = 100;

export function Regions({ comparison }: { comparison: Comparison }) {
  const [selected, setSelected] = useState<string | null>(null);
  const region = comparison.regions.find((each) => keyOf(each) === selected);
  return (
    <>
      <UpSet comparison={comparison} selected={selected} onSelect={setSelected} />
      <h2>Regions</h2>
      <div className="table-frame" tabIndex={0} role="region" aria-label="Regions">
        <table>
          <thead>
            <tr>
              {comparison.sets.map(({ segment }) => (
                <th key={segment.id} scope="col">
                  {segment.name}
                </th>
              ))}
              <th scope="col" className="numeric">
                Customers
              </th>
              <th scope="col">
                <span className="hidden">Show</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {comparison.regions.map((each) => (
              <tr key={keyOf(each)} aria-selected={keyOf(each) === selected}>
                {comparison.sets.map(({ segment }) => (
                  <td key={segment.id}>{each.segmentIds.includes(segment.id) ? 'in' : <span className="dim">not in</span>}</td>
                ))}
                <td className="numeric">{number(each.count)}</td>
                <td>
                  <button
                    type="button"
                    aria-label={`Show customers in ${regionName(comparison, each)}`}
                    onClick={() => setSelected(keyOf(each))}
                  >
                    Show
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {region && <RegionCustomers key={keyOf(region)} comparison={comparison} region={region} />}
    </>
  );
}

export function keyOf({ segmentIds }: { segmentIds: readonly string[] }): string {
  return segmentIds.join(' ');
}

function RegionCustomers({ comparison, region }: { comparison: Comparison; region: Region }) {
  const client = useClient();
  const segmentIds = comparison.sets.map(({ segment }) => segment.id);
  const [{ data, error }] = useQuery({ query: RegionCustomersDocument, variables: { segmentIds, first: PAGE } });
  const [exporting, setExporting] = useState<{ isRunning: boolean; problem: string }>({ isRunning: false, problem: '' });
  const heading = useRef<HTMLHeadingElement>(null);
  const found = customersOf(data, region);
  // The list is below what was clicked, and on a phone off the screen.
  useEffect(() => {
    heading.current?.scrollIntoView({ block: 'start' });
  }, [found === undefined]);
  if (error && !found) return <Failure error={error} />;
  if (!found) return <Loading what="the customers" />;

  async function exportAll(first: Customers) {
    setExporting({ isRunning: true, problem: '' });
    const nodes = [...first.nodes];
    let { hasNextPage, endCursor: after } = first.pageInfo;
    while (hasNextPage) {
      const next = await client.query(RegionCustomersDocument, { segmentIds, first: PAGE, after }).toPromise();
      const page = customersOf(next.data, region);
      if (!page) return setExporting({ isRunning: false, problem: next.error?.message ?? 'The customers have changed meanwhile.' });
      nodes.push(...page.nodes);
      ({ hasNextPage, endCursor: after } = page.pageInfo);
    }
    setExporting({ isRunning: false, problem: '' });
    const rows = nodes.map(({ id, name, email, identities }) => [id, name, email, identities[0]?.externalId]);
    download('customers.csv', csvOf([['id', 'name', 'email', 'externalId'], ...rows]));
  }

  return (
    <section className="stack" aria-labelledby="region">
      <div className="heading">
        <h2 id="region" ref={heading}>
          In {regionName(comparison, region)} <span className="dim">({number(region.count)})</span>
        </h2>
        <button type="button" disabled={exporting.isRunning} onClick={() => void exportAll(found)}>
          {exporting.isRunning ? 'Reading …' : 'Export as CSV'}
        </button>
      </div>
      {exporting.problem && (
        <p className="bad" role="alert">
          {exporting.problem}
        </p>
      )}
      <CustomerTable label="Customers of the region" customers={found.nodes} />
      {region.count > found.nodes.length && (
        <p className="dim">
          The first {number(found.nodes.length)} of {number(region.count)}; the file has all of them.
        </p>
      )}
    </section>
  );
}

type Customers = NonNullable<NonNullable<RegionCustomersQuery['segmentsCompare']>['regions'][number]['customers']>;

function customersOf(data: RegionCustomersQuery | undefined, region: Region): Customers | null | undefined {
  return data?.segmentsCompare?.regions.find((each) => keyOf(each) === keyOf(region))?.customers;
}

function regionName({ sets }: Comparison, { segmentIds }: Region): string {
  const names = (isIn: boolean) =>
    sets.filter(({ segment }) => segmentIds.includes(segment.id) === isIn).map(({ segment }) => segment.name);
  const others = names(false);
  return names(true).join(' and ') + (others.length ? `, not in ${others.join(' or ')}` : '');
}
