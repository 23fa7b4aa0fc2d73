import { type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { holderOf } from '../../credential';
import type { LiveState } from '../live/followChanges';
import { useLive } from '../live/LiveProvider';

const PAGES = [
  { path: '/', name: 'Overview' },
  { path: '/segments', name: 'Segments' },
  { path: '/person', name: 'Person' },
  { path: '/compare', name: 'Compare' },
  { path: '/import', name: 'Import' },
];

interface Props {
  children: ReactNode;
  /** Whether the gateway requires a key or token, or another one. */
  isSignedOut: boolean;
  /** Empty where none is needed. */
  credential: string;
  onSignOut: () => void;
}

/** The frame of every page: navigation, whether changes arrive, and who is signed in. */
export function Layout({ children, isSignedOut, credential, onSignOut }: Props) {
  const [location] = useLocation();
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="bar">
        <Link href="/" className="brand">
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <circle cx="6" cy="6" r="4.5" />
            <circle cx="10" cy="10" r="4.5" />
          </svg>
          Segment gateway
        </Link>
        <nav aria-label="Pages">
          <ul>
            {PAGES.map(({ path, name }) => {
              const isCurrent = path === '/' ? location === '/' : location.startsWith(path);
              return (
                <li key={path}>
                  <Link href={path} aria-current={isCurrent ? 'page' : undefined}>
                    {name}
                  </Link>
                </li>
              );
            })}
            <li>
              <a href="/graphql">GraphiQL</a>
            </li>
          </ul>
        </nav>
        {!isSignedOut && <LiveMark />}
        {credential && !isSignedOut && (
          <>
            <span className="holder" title={`Signed in: ${holderOf(credential)}`}>
              <span className="hidden">Signed in: </span>
              {holderOf(credential)}
            </span>
            <button type="button" className="quiet" onClick={onSignOut}>
              Sign out
            </button>
          </>
        )}
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

const LIVE_MARKS: Record<LiveState, [text: string, title?: string]> = {
  connecting: ['Connecting'],
  reconnecting: ['Reconnecting'],
  live: ['Live'],
  off: ['Not live', 'You may not read changes.'],
};

function LiveMark() {
  const { state, gaps } = useLive();
  const [text, title] = LIVE_MARKS[state];
  return (
    <span className={`live ${state}`} role="status" title={title}>
      {text}
      {gaps > 0 && state === 'live' && <span className="note"> · read anew after the server restarted</span>}
    </span>
  );
}
