import type { Gateway } from '../client';
import { ChangedDocument, type ChangeRowFragment, CursorDocument } from '../generated';

export type Change = ChangeRowFragment;

/** `off`: the caller may not see changes. */
export type LiveState = 'connecting' | 'reconnecting' | 'live' | 'off';

interface Follower {
  onChange(change: Change): void;
  onState(state: LiveState): void;
  /** Changes may have been missed: the log no longer has them, or is another one. */
  onGap(): void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/** Follow the change log until the returned function is called; after a cut, resume where it stood. */
export function followChanges(gateway: Gateway, follower: Follower): () => void {
  let cursor: string | null = null;
  let pause = FIRST_PAUSE_MS;
  let timer = 0;
  let isStopped = false;
  let stop = () => {};

  async function start() {
    if (cursor === null) {
      const { data } = await gateway.client.query(CursorDocument, {}, { requestPolicy: 'network-only' }).toPromise();
      cursor = data?.changesCursor ?? null;
      if (isStopped) return;
      if (cursor === null) return again();
    }
    let isOver = false;
    const take = (change: Change) => {
      cursor = change.cursor;
      pause = FIRST_PAUSE_MS;
      follower.onChange(change);
    };
    const end = (code: string | null) => {
      if (isOver || isStopped) return;
      isOver = true;
      ended(code);
    };
    stop = gateway.subscribe(ChangedDocument, { after: cursor }, { next: (data) => take(data.changed), end });
    follower.onState('live');
  }

  function ended(code: string | null) {
    if (code === 'CURSOR_EXPIRED') {
      cursor = null;
      follower.onGap();
    }
    if (code === 'FORBIDDEN') return follower.onState('off');
    again();
  }

  function again() {
    follower.onState('reconnecting');
    timer = window.setTimeout(() => void start(), pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }

  void start();
  return () => {
    isStopped = true;
    clearTimeout(timer);
    stop();
  };
}
