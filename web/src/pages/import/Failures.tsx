import { number } from '../components/format';
import type { Outcome } from './plans';

/** The first rows that were not done, with the reasons. */
export function Failures({ failures, count }: { failures: readonly Outcome[]; count: number }) {
  if (!failures.length) return null;
  return (
    <>
      <div className="table-frame failures" tabIndex={0} role="region" aria-label="Rows that are not done">
        <table>
          <thead>
            <tr>
              <th scope="col" className="numeric">
                Line
              </th>
              <th scope="col">Outcome</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {failures.map(({ row, outcome, reason }) => (
              <tr key={row.number}>
                <td className="numeric">{number(row.number)}</td>
                <td>{outcome.toLowerCase()}</td>
                <td>{reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {count > failures.length && (
        <p className="dim">
          The first {number(failures.length)} of {number(count)}; all are in the report.
        </p>
      )}
    </>
  );
}
