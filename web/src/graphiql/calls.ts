import type { ExecutionResult } from 'graphql';

/** One attempt of a call to a provider, or a read that needed none, as the gateway lists them. */
export interface Call {
  provider: string;
  operation: string;
  source: 'NETWORK' | 'SHARED' | 'CACHED' | 'STALE';
  startMs: number;
  durationMs: number;
  waitedMs?: number | null;
  status?: number | null;
  attempt?: number | null;
  keys?: number | null;
  error?: string | null;
}

/** What a request costs, and what its caller may still spend, by `extensions.cost`. */
export interface Cost {
  requested: number;
  calls: number;
  remaining: number;
}

/** The latest response's calls, and what it cost. */
export interface Trace {
  calls: readonly Call[];
  cost: Cost | null;
}

let latest: Trace | null = null;
const listeners = new Set<() => void>();

/** A store for React's `useSyncExternalStore`. */
export const traces = {
  subscribe(listener: () => void) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
  latest: () => latest,
};

/** Keep a response's calls for the panel, and return it without them. */
export function withoutCalls(result: ExecutionResult): ExecutionResult {
  const { upstreamCalls, ...extensions } = (result.extensions ?? {}) as Record<string, unknown>;
  if (!Array.isArray(upstreamCalls)) return result;
  latest = { calls: upstreamCalls as Call[], cost: (extensions['cost'] as Trace['cost']) ?? null };
  listeners.forEach((listener) => listener());
  return { ...result, extensions };
}
