import { useState } from 'react';
import { useQuery } from 'urql';
import { CustomerTable } from '../components/CustomerTable';
import { csvOf, download } from '../components/csv';
import { number } from '../components/format';
import { Failure, Loading } from '../components/states';
import { type ComparisonQuery, RegionCustomersDocument } from '../generated';
import { UpSet } from './UpSet';

type Comparison = NonNullable<ComparisonQuery['segmentsCompare']>;
type Region = Comparison['regions'][number];

const MOST_CUSTOMERS = 250;

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
                  <button type="button" onClick={() => setSelected(keyOf(each))}>
                    Who is this?
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
  const segmentIds = comparison.sets.map(({ segment }) => segment.id);
  const variables = { segmentIds, first: MOST_CUSTOMERS };
  const [{ data, error }] = useQuery({ query: RegionCustomersDocument, variables });
  if (error && !data?.segmentsCompare) return <Failure error={error} />;
  const found = data?.segmentsCompare?.regions.find((each) => keyOf(each) === keyOf(region))?.customers;
  if (!found) return <Loading what="the customers" />;
  const rows = found.nodes.map(({ id, name, email, identities }) => [id, name, email, identities[0]?.externalId]);
  return (
    <section aria-labelledby="region">
      <div className="heading">
        <h2 id="region">In {regionName(comparison, region)}</h2>
        <button type="button" onClick={() => download('customers.csv', csvOf([['id', 'name', 'email', 'externalId'], ...rows]))}>
          Export as CSV
        </button>
      </div>
      <CustomerTable label="Customers of the region" customers={found.nodes} />
      {region.count > found.nodes.length && (
        <p className="dim">
          The first {number(found.nodes.length)} of {number(region.count)}.
        </p>
      )}
    </section>
  );
}

function regionName({ sets }: Comparison, { segmentIds }: Region): string {
  const names = (isIn: boolean) =>
    sets.filter(({ segment }) => segmentIds.includes(segment.id) === isIn).map(({ segment }) => segment.name);
  const others = names(false);
  return names(true).join(' and ') + (others.length ? `, not in ${others.join(' or ')}` : '');
}
