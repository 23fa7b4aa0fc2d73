import type { GraphiQLPlugin } from '@graphiql/react';
import { useSyncExternalStore } from 'react';
import { type Call, type Cost, traces } from './calls';

/** A panel with the upstream calls of the latest response, as a waterfall. */
export const CALLS_PLUGIN: GraphiQLPlugin = { title: 'Calls', icon: WaterfallIcon, content: CallsPanel };

const SOURCES: Record<Call['source'], string> = {
  NETWORK: 'sent',
  SHARED: 'shared with another request',
  CACHED: 'from the cache',
  STALE: 'stale: the provider does not answer',
};

const NUMBER = new Intl.NumberFormat();

function CallsPanel() {
  const trace = useSyncExternalStore(traces.subscribe, traces.latest);
  return (
    // Focusable, since a list that is longer than the screen is scrolled by keyboard, too.
    <section aria-label="Calls" tabIndex={0}>
      <h2 className="examples-title">Calls</h2>
      {trace === null ? <p>Run a query to see the calls to providers that it made.</p> : <Waterfall {...trace} />}
    </section>
  );
}

function Waterfall({ calls, cost }: { calls: readonly Call[]; cost: Cost | null }) {
  const end = Math.max(...calls.map(({ startMs, durationMs }) => startMs + durationMs), 1);
  const sent = calls.filter(({ source }) => source === 'NETWORK').length;
  return (
    <>
      <p>
        {sent === 1 ? '1 call' : `${sent} calls`} in {Math.round(end)} ms
      </p>
      {cost && (
        <p>
          Cost {NUMBER.format(cost.requested)}, {NUMBER.format(cost.remaining)} left to spend
        </p>
      )}
      <ol className="calls">
        {calls.map((call, index) => (
          <CallRow key={index} call={call} end={end} />
        ))}
      </ol>
    </>
  );
}

function CallRow({ call, end }: { call: Call; end: number }) {
  const { provider, operation, source, startMs, durationMs, waitedMs, status, attempt, keys, error } = call;
  const notes = [
    source === 'NETWORK' ? (status ?? 'no status') : SOURCES[source],
    error,
    (attempt ?? 1) > 1 && `attempt ${attempt}`,
    (keys ?? 0) > 1 && `batch of ${keys}`,
    (waitedMs ?? 0) >= 1 && `waited ${Math.round(waitedMs!)} ms`,
  ].filter(Boolean);
  return (
    <li className={error ? 'failed' : source.toLowerCase()}>
      <div>
        <strong>{provider}</strong> {operation} <span className="calls-time">{Math.round(durationMs)} ms</span>
      </div>
      <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
        <rect x={(100 * startMs) / end} y="0" width={Math.max((100 * durationMs) / end, 0.7)} height="4" />
      </svg>
      <div className="calls-notes">{notes.join(' · ')}</div>
    </li>
  );
}

function WaterfallIcon(props: object) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" {...props}>
      <path d="M4 6h7M8 12h9M14 18h6" />
    </svg>
  );
}
