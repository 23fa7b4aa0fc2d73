import type { Client } from '@urql/core';
import { csvOf } from '../components/csv';
import { CHUNK, isDone, type Outcome, type Plan } from './plans';
import { type Renaming, type Row, rowsOf, UnreadableFile } from './rows';
import { runKeyOf } from './runKey';
import { send, SendingFailed } from './send';

export interface Progress {
  phase: 'new' | 'checking' | 'checked' | 'sending' | 'stopped' | 'done' | 'unreadable';
  /** Of the rows that were checked, or sent. */
  done: number;
  total: number;
  failed: number;
  /** Why it has stopped, or cannot be read. */
  problem: string;
  /** The first rows that cannot be sent, or that failed. */
  failures: readonly Outcome[];
  /** Since sending was started or resumed. */
  rate: number;
}

const NEW: Progress = { phase: 'new', done: 0, total: 0, failed: 0, problem: '', failures: [], rate: 0 };
const SHOWN_FAILURES = 10;

/** One import of one file: it is checked, sent, stopped and resumed. A store for React's `useSyncExternalStore`. */
export class ImportRun {
  #progress = NEW;
  #listeners = new Set<() => void>();
  #report: string[] = [];
  #wake: (() => void) | null = null;
  #isGone = false;

  constructor(
    private readonly client: Client,
    private readonly file: File,
    private readonly renaming: Renaming,
    private readonly digest: string,
    private readonly plan: () => Plan,
  ) {}

  readonly subscribe = (listener: () => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };
  readonly progress = () => this.#progress;

  /** Check every row, and send nothing. */
  async check() {
    this.#begin('checking', 0);
    await this.#run(async (rows, plan) => await invalid(rows, plan));
    if (this.#progress.phase === 'checking') this.#change({ phase: 'checked', total: this.#progress.done });
  }

  /** Send all rows; again if they were sent before and that is meant. */
  async start(isRepetition: boolean) {
    const key = runKeyOf(this.digest, isRepetition);
    this.#begin('sending', this.#progress.total);
    await this.#run(async (rows, plan, number) => {
      const outcomes = await this.#insist(() => invalid(rows, plan));
      const good = outcomes.filter(isDone).map(({ row }) => row);
      const sent = new Map(outcomes.map((each) => [each.row.number, each]));
      for (const { document, variables, outcomes: read } of plan.operations(good, `${key}-${number}`)) {
        await this.#whileStopped();
        const { data, errors } = await this.#insist(() => send(this.client, document, variables));
        for (const each of read((data ?? {}) as Parameters<typeof read>[0], errors)) sent.set(each.row.number, each);
      }
      return rows.map((row) => sent.get(row.number)!);
    });
    if (this.#progress.phase === 'sending') this.#change({ phase: 'done' });
  }

  /** Stop after what is being sent. */
  readonly stop = () => this.#change({ phase: 'stopped', problem: '' });

  readonly resume = () => {
    this.#since = { at: Date.now(), done: this.#progress.done };
    this.#change({ phase: 'sending', problem: '', rate: 0 });
    this.#wake?.();
  };

  /** Send nothing more; the page is left. */
  readonly leave = () => {
    this.#isGone = true;
    this.#wake?.();
  };

  /** The outcome of every row so far, as a file. */
  report(): string {
    return csvOf([['line', 'outcome', 'reason']]) + this.#report.join('');
  }

  #since = { at: 0, done: 0 };

  #begin(phase: Progress['phase'], total: number) {
    this.#report = [];
    this.#since = { at: Date.now(), done: 0 };
    this.#change({ ...NEW, phase, total });
  }

  async #run(take: (rows: readonly Row[], plan: Plan, number: number) => Promise<readonly Outcome[]>) {
    const plan = this.plan();
    let number = 0;
    try {
      for await (const rows of chunks(rowsOf(this.file, this.renaming), plan)) {
        if (this.#isGone) return;
        this.#add(await take(rows, plan, number));
        number += 1;
      }
      await this.#whileStopped();
    } catch (error) {
      if (error instanceof Left) return;
      if (!(error instanceof UnreadableFile || error instanceof SendingFailed)) throw error;
      this.#change({ phase: 'unreadable', problem: error.message });
    }
  }

  #add(outcomes: readonly Outcome[]) {
    const failures = outcomes.filter((each) => !isDone(each));
    const { failures: before, failed, done: doneBefore } = this.#progress;
    this.#report.push(csvOf(outcomes.map(({ row, outcome, reason }) => [row.number, outcome, reason])));
    const done = doneBefore + outcomes.length;
    const seconds = Math.max(Date.now() - this.#since.at, 1) / 1000;
    this.#change({
      done,
      failed: failed + failures.length,
      failures: [...before, ...failures].slice(0, SHOWN_FAILURES),
      rate: (done - this.#since.done) / seconds,
    });
  }

  /** Do what may fail for a while: until it succeeds, the import is stopped, and can be resumed. */
  async #insist<Value>(attempt: () => Promise<Value>): Promise<Value> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof SendingFailed)) throw error;
        this.#change({ phase: 'stopped', problem: error.message });
        await this.#whileStopped();
      }
    }
  }

  async #whileStopped() {
    while (this.#progress.phase === 'stopped' && !this.#isGone) await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#isGone) throw new Left();
  }

  #change(part: Partial<Progress>) {
    this.#progress = { ...this.#progress, ...part };
    this.#listeners.forEach((listener) => listener());
  }
}

class Left extends Error {}

async function invalid(rows: readonly Row[], plan: Plan): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const row of rows) {
    const reason = row.problem ?? (await plan.problem(row));
    outcomes.push({ row, outcome: reason === null ? 'VALID' : 'INVALID', reason: reason ?? '' });
  }
  return outcomes;
}

async function* chunks(rows: AsyncIterable<Row>, plan: Plan): AsyncGenerator<readonly Row[]> {
  let chunk: Row[] = [];
  for await (const row of rows) {
    const last = chunk.at(-1);
    if (last && chunk.length >= CHUNK && !plan.belongTogether?.(last, row)) {
      yield chunk;
      chunk = [];
    }
    chunk.push(row);
  }
  if (chunk.length) yield chunk;
}
