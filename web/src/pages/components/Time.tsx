import { useEffect, useState } from 'react';
import { ago, dayAndTime } from './format';

const EVERY_MS = 20_000;

/** How long ago something was, kept up to date; the moment itself as a tooltip. */
export function Time({ at }: { at: string }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <time dateTime={at} title={dayAndTime(at)}>
      {ago(at)}
    </time>
  );
}
