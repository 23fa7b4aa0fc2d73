import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import { number } from './format';

interface Point {
  at: string;
  count: number;
}

const WIDTH = 96;
const HEIGHT = 20;

/** A size over time, and what it is now; the first and last number as its text. */
export function Sparkline({ points: past, now }: { points: readonly Point[]; now: number | undefined }) {
  const points = now === undefined ? past : [...past, { at: new Date().toISOString(), count: now }];
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last) return null;
  const times = points.map(({ at }) => Date.parse(at));
  const counts = points.map((point) => point.count);
  const x = scaleLinear([Math.min(...times), Math.max(...times)], [2, WIDTH - 2]);
  const y = scaleLinear([Math.min(...counts), Math.max(...counts)], [HEIGHT - 3, 3]);
  const flat = Math.min(...counts) === Math.max(...counts);
  const at = (index: number): [number, number] => [x(times[index]!), flat ? HEIGHT / 2 : y(counts[index]!)];
  const path = line()(points.map((_, index) => at(index)));
  const [endX, endY] = at(points.length - 1);
  return (
    <svg
      className="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`from ${number(first.count)} to ${number(last.count)} members`}
    >
      {points.length > 1 && <path d={path ?? ''} />}
      <circle cx={points.length > 1 ? endX : WIDTH - 2} cy={endY} r="2" />
    </svg>
  );
}
