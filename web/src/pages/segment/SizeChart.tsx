import { scaleLinear, scaleUtc } from 'd3-scale';
import { area, line } from 'd3-shape';
import { dayAndTime, number } from '../components/format';
import type { SizeInterval } from '../generated';

interface Point {
  at: string;
  count: number;
  entered: number | null;
  left: number | null;
}

const WIDTH = 560;
const HEIGHT = 180;
const LEFT = 48;
const BOTTOM = 22;

const LABELS: Record<SizeInterval, Intl.DateTimeFormat> = {
  HOUR: new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', timeZone: 'UTC' }),
  DAY: new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', timeZone: 'UTC' }),
};

/** A size over time, with the same numbers as a table behind a disclosure. */
export function SizeChart({ points, interval }: { points: readonly Point[]; interval: SizeInterval }) {
  const times = points.map(({ at }) => new Date(at));
  const most = Math.max(...points.map((point) => point.count), 1);
  const x = scaleUtc([times[0]!, times.at(-1)!], [LEFT, WIDTH - 8]);
  const y = scaleLinear([0, most], [HEIGHT - BOTTOM, 8]).nice(3);
  const at = (_: Point, index: number) => (points.length === 1 ? WIDTH / 2 : x(times[index]!));
  const height = (point: Point) => y(point.count);
  const shape = area<Point>().x(at).y0(HEIGHT - BOTTOM).y1(height)([...points]);
  const path = line<Point>().x(at).y(height)([...points]);
  const label = `Members from ${number(points[0]!.count)} to ${number(points.at(-1)!.count)}`;
  return (
    <>
      <svg className="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
        {y.ticks(3).map((tick) => (
          <g key={tick} transform={`translate(0 ${y(tick)})`}>
            <line x1={LEFT} x2={WIDTH - 8} />
            <text x={LEFT - 8} dy="0.32em" textAnchor="end">
              {number(tick)}
            </text>
          </g>
        ))}
        {(points.length === 1 ? times : x.ticks(5)).map((tick) => (
          <text key={+tick} x={points.length === 1 ? WIDTH / 2 : x(tick)} y={HEIGHT - 4} textAnchor="middle">
            {LABELS[interval].format(tick)}
          </text>
        ))}
        <path className="area" d={shape ?? ''} />
        <path className="line" d={path ?? ''} />
        {points.map((point, index) => (
          <circle key={point.at} cx={at(point, index)} cy={height(point)} r="3">
            <title>{`${dayAndTime(point.at)}: ${number(point.count)}`}</title>
          </circle>
        ))}
      </svg>
      <details>
        <summary>As a table</summary>
        <div className="table-frame" tabIndex={0} role="region" aria-label="Sizes">
          <table>
            <thead>
              <tr>
                <th scope="col">{interval === 'DAY' ? 'Day (UTC)' : 'Hour (UTC)'}</th>
                <th scope="col" className="numeric">Members</th>
                <th scope="col" className="numeric">Entered</th>
                <th scope="col" className="numeric">Left</th>
              </tr>
            </thead>
            <tbody>
              {[...points].reverse().map((point) => (
                <tr key={point.at}>
                  <th scope="row">{interval === 'DAY' ? point.at.slice(0, 10) : point.at.slice(0, 16).replace('T', ' ')}</th>
                  <td className="numeric">{number(point.count)}</td>
                  <td className="numeric">{point.entered === null ? '–' : number(point.entered)}</td>
                  <td className="numeric">{point.left === null ? '–' : number(point.left)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
}
