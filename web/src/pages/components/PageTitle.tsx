import { useEffect } from 'react';

/** The heading of a page, which is the title of its tab as well. */
export function PageTitle({ children }: { children: string }) {
  useEffect(() => {
    document.title = `${children} · Segment gateway`;
  }, [children]);
  return <h1>{children}</h1>;
}
