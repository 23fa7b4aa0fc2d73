import type { Gateway, Listener } from '../client';
import { ChangedDocument, type ChangeRowFragment, CursorDocument, SegmentsChangedDocument } from '../generated';

export type Change = ChangeRowFragment;

/** `off`: the caller may not see changes. */
export type LiveState = 'connecting' | 'live' | 'off';

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
  // Who may read segments but not assignments hears of segments alone.
  let segmentsAlone = false;

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
    stop = segmentsAlone
      ? gateway.subscribe(SegmentsChangedDocument, { after: cursor }, listener((data) => take(data.segmentChanged), end))
      : gateway.subscribe(ChangedDocument, { after: cursor }, listener((data) => take(data.changed), end));
    follower.onState('live');
  }

  function ended(code: string | null) {
    if (code === 'CURSOR_EXPIRED') {
      cursor = null;
      follower.onGap();
    }
    if (code === 'FORBIDDEN') {
      if (segmentsAlone) return follower.onState('off');
      segmentsAlone = true;
      void start();
      return;
    }
    again();
  }

  function again() {
    follower.onState('connecting');
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

function listener<Data>(next: (data: Data) => void, end: (code: string | null) => void): Listener<Data> {
  return { next, end };
}
