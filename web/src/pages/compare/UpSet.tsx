import { scaleLinear } from 'd3-scale';
import { number } from '../components/format';
import type { ComparisonQuery } from '../generated';
import { keyOf } from './Regions';

interface Props {
  comparison: NonNullable<ComparisonQuery['segmentsCompare']>;
  selected: string | null;
  onSelect: (key: string) => void;
}

const COLUMN = 44;
const ROW = 28;
const BARS = 140;
const NAMES = 240;
const TOP = 18;

/** Which customers segments share: a bar for each region, above dots for the segments that form it. */
export function UpSet({ comparison: { sets, regions }, selected, onSelect }: Props) {
  const width = NAMES + COLUMN * regions.length + 8;
  const height = TOP + BARS + ROW * sets.length + 12;
  const most = Math.max(...regions.map(({ count }) => count), 1);
  const bar = scaleLinear([0, most], [0, BARS]);
  const size = scaleLinear([0, Math.max(...sets.map(({ count }) => count), 1)], [0, 72]);
  const rowOf = (index: number) => TOP + BARS + ROW * index + ROW / 2 + 8;
  return (
    <div className="table-frame upset" tabIndex={0} role="region" aria-label="Overlap; the table below has the same numbers">
      <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img" aria-label={`${regions.length} regions of ${sets.length} segments`}>
        {sets.map(({ segment, count }, index) => (
          <g key={segment.id} transform={`translate(0 ${rowOf(index)})`}>
            {index % 2 === 0 && <rect className="band" x="0" y={-ROW / 2} width={width} height={ROW} />}
            <rect className="set" x={NAMES - 12 - size(count)} y="6" width={size(count)} height="3" />
            <text x={NAMES - 12} dy="0.1em" textAnchor="end">
              {short(segment.name)} · {number(count)}
            </text>
          </g>
        ))}
        {regions.map((region, column) => {
          const x = NAMES + COLUMN * column + COLUMN / 2;
          const rows = sets.flatMap(({ segment }, index) => (region.segmentIds.includes(segment.id) ? [index] : []));
          return (
            <g
              key={keyOf(region)}
              className={keyOf(region) === selected ? 'region selected' : 'region'}
              onClick={() => onSelect(keyOf(region))}
            >
              <rect className="target" x={x - COLUMN / 2} y="0" width={COLUMN} height={height} />
              <rect x={x - 11} y={TOP + BARS - bar(region.count)} width="22" height={Math.max(bar(region.count), 1)} />
              <text x={x} y={TOP + BARS - bar(region.count) - 5} textAnchor="middle">
                {number(region.count)}
              </text>
              <line x1={x} x2={x} y1={rowOf(rows[0]!)} y2={rowOf(rows.at(-1)!)} />
              {sets.map(({ segment }, index) => (
                <circle key={segment.id} className={rows.includes(index) ? 'in' : 'out'} cx={x} cy={rowOf(index)} r="6" />
              ))}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function short(name: string): string {
  return name.length > 26 ? `${name.slice(0, 25)}…` : name;
}
