import type { CombinedError } from '@urql/core';
import type { ReactNode } from 'react';
import type { SourceStateFragment } from '../generated';

/** Shown until the first data arrives; later reads keep showing what there is. */
export function Loading({ what, rows = 3, className = '' }: { what: string; rows?: number; className?: string }) {
  return (
    <div className={`loading ${className}`} role="status" aria-label={`Loading ${what}`}>
      {Array.from({ length: rows }, (_, index) => (
        <div key={index} className="bone" />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children && <p className="dim">{children}</p>}
    </div>
  );
}

const CAUSES: Record<string, string> = {
  FORBIDDEN: 'Your key or token does not allow this.',
  LIMIT_EXCEEDED: 'This exceeds a limit of the gateway.',
  STORE_UNAVAILABLE: 'The gateway’s own store cannot be used at the moment.',
  PROVIDER_TIMEOUT: 'The provider did not reply in time.',
};

function causeOf(code: string): string {
  const isProvider = code.startsWith('PROVIDER_');
  return CAUSES[code] ?? (isProvider ? 'The provider does not answer.' : 'The gateway could not answer.');
}

/** An error in place of data. */
export function Failure({ error, onRetry }: { error: CombinedError; onRetry?: () => void }) {
  const first = error.graphQLErrors[0];
  const code = String(first?.extensions['code'] ?? '');
  const requestId = first?.extensions['requestId'];
  const isForbidden = code === 'FORBIDDEN';
  return (
    <div className={`failure ${isForbidden ? 'forbidden' : ''}`} role="alert">
      <p>
        <strong>{first ? causeOf(code) : 'The gateway cannot be reached.'}</strong>
      </p>
      {first && <p>{first.message}</p>}
      {requestId !== undefined && <p className="dim">Request {String(requestId)}: the cause is in the gateway’s log.</p>}
      {onRetry && !isForbidden && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Which providers a list was made without. */
export function Partial({ sources }: { sources: readonly SourceStateFragment[] }) {
  const failed = sources.filter(({ error }) => error);
  const skipped = sources.filter((source) => source.skipped > 0);
  if (!failed.length && !skipped.length) return null;
  return (
    <div className="partial" role="status">
      {failed.map(({ provider, error }) => (
        <p key={provider.key}>
          <strong>{provider.displayName}</strong>{' '}
          {error!.code === 'UNSUPPORTED' ? 'cannot do this' : 'does not answer'}: shown without it.{' '}
          <span className="dim">{error!.message}</span>
        </p>
      ))}
      {skipped.map(({ provider, skipped: count }) => (
        <p key={provider.key}>
          <strong>{provider.displayName}</strong>: {count} {count === 1 ? 'row' : 'rows'} left out, whose ids cannot be
          read.
        </p>
      ))}
    </div>
  );
}
