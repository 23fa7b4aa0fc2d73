import { type ReactNode } from 'react';
import { Link, useLocation } from 'wouter';
import { useLive } from '../live/LiveProvider';

const PAGES = [
  { path: '/', name: 'Overview' },
  { path: '/segments', name: 'Segments' },
  { path: '/person', name: 'Person' },
  { path: '/compare', name: 'Compare' },
  { path: '/import', name: 'Import' },
];

/** The frame of every page: navigation, and whether changes arrive. */
export function Layout({ children, onSignOut }: { children: ReactNode; onSignOut?: (() => void) | undefined }) {
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
        <LiveMark />
        {onSignOut && (
          <button type="button" className="quiet" onClick={onSignOut}>
            Sign out
          </button>
        )}
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

const LIVE_TEXTS = { connecting: 'Reconnecting', live: 'Live', off: 'Not live' };

function LiveMark() {
  const { state, gaps } = useLive();
  return (
    <span className={`live ${state}`} role="status" title={state === 'off' ? 'You may not read changes.' : undefined}>
      {LIVE_TEXTS[state]}
      {gaps > 0 && state === 'live' && <span className="note"> · read anew after the server restarted</span>}
    </span>
  );
}
