import { createContext, type ReactNode, useContext, useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import type { Gateway } from '../client';
import { type Change, followChanges, type LiveState } from './followChanges';

interface Live {
  state: LiveState;
  /** How often the changes could not be resumed: whoever shows a list reads it anew. */
  gaps: number;
  listen(listener: (change: Change) => void): () => void;
}

const LiveContext = createContext<Live>({ state: 'connecting', gaps: 0, listen: () => () => {} });

/** Follows the change log over one subscription, whatever the number of components that listen. */
export function LiveProvider({ gateway, isOff, children }: { gateway: Gateway; isOff: boolean; children: ReactNode }) {
  const [state, setState] = useState<LiveState>('connecting');
  const [gaps, setGaps] = useState(0);
  const listeners = useRef(new Set<(change: Change) => void>());

  useEffect(() => {
    if (isOff) return;
    return followChanges(gateway, {
      onState: setState,
      onGap: () => setGaps((count) => count + 1),
      onChange: (change) => listeners.current.forEach((listener) => listener(change)),
    });
  }, [gateway, isOff]);

  const live = useMemo(
    () => ({
      state,
      gaps,
      listen(listener: (change: Change) => void) {
        listeners.current.add(listener);
        return () => void listeners.current.delete(listener);
      },
    }),
    [state, gaps],
  );
  return <LiveContext value={live}>{children}</LiveContext>;
}

export function useLive() {
  return useContext(LiveContext);
}

/** Call `onChange` for every change from now on. */
export function useChanges(onChange: (change: Change) => void) {
  const { listen } = useLive();
  const latest = useEffectEvent(onChange);
  useEffect(() => listen((change) => latest(change)), [listen]);
}

/** Call `read` shortly after changes that matter, once for many, and after a gap. */
export function useReadAnew(matters: (change: Change) => boolean, read: () => void) {
  const { gaps } = useLive();
  const timer = useRef(0);
  const latest = useEffectEvent(read);
  useChanges((change) => {
    if (!matters(change) || timer.current) return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      latest();
    }, READ_DELAY_MS);
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (gaps) latest();
  }, [gaps]);
}

const READ_DELAY_MS = 250;
