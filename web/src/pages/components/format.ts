const NUMBER = new Intl.NumberFormat();
const DAY_AND_TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto', style: 'short' });
const STEPS: readonly [limit: number, seconds: number, unit: Intl.RelativeTimeFormatUnit][] = [
  [60, 1, 'second'],
  [3600, 60, 'minute'],
  [86_400, 3600, 'hour'],
  [30 * 86_400, 86_400, 'day'],
];

export function number(value: number): string {
  return NUMBER.format(value);
}

export function dayAndTime(text: string): string {
  return DAY_AND_TIME.format(new Date(text));
}

/** Return how long ago a moment was, or its day if that was more than 30 days ago. */
export function ago(text: string, now = Date.now()): string {
  const seconds = Math.min((Date.parse(text) - now) / 1000, 0); // this machine's clock may be behind
  for (const [limit, length, unit] of STEPS) {
    if (-seconds < limit) return RELATIVE.format(Math.round(seconds / length), unit);
  }
  return DAY.format(new Date(text));
}

export function count({ count: value, precision }: { count: number; precision: string }): string {
  return precision === 'AT_LEAST' ? `${number(value)}+` : number(value);
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** Return an enum value as a word: `MANUAL` is "Manual". */
export function titled(value: string): string {
  return value.charAt(0) + value.slice(1).toLowerCase().replaceAll('_', ' ');
}

/** Return seconds in words, in the largest unit that fits. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${number(Math.round(seconds / 3600))} h`;
}
