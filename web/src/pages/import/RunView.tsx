import { useEffect, useState, useSyncExternalStore } from 'react';
import { download } from '../components/csv';
import { dayAndTime, duration, number, plural } from '../components/format';
import { Failures } from './Failures';
import type { ImportRun, Progress } from './ImportRun';
import type { Provider } from './kinds';
import { areKeysValid, type Started } from './runKey';

interface Props {
  run: ImportRun;
  started: Started | undefined;
  command: string;
  provider: Provider;
  onChangeColumns: () => void;
}

/** An import from its check to its report. */
export function RunView({ run, started, command, provider, onChangeColumns }: Props) {
  const progress = useSyncExternalStore(run.subscribe, run.progress);
  const { phase, done, total, failed, problem, rate, failures } = progress;
  const isUnderWay = phase === 'sending' || phase === 'stopped';
  useWarningOnLeaving(isUnderWay);
  return (
    <>
      <p className={phase === 'unreadable' ? 'bad' : 'lead'} role="status">
        {statusOf(progress, provider)}
      </p>
      {(phase === 'checking' || isUnderWay) && (
        <div className="stack">
          <progress aria-label={phase === 'checking' ? 'Checked rows' : 'Sent rows'} {...(total && { value: done, max: total })} />
          <p className="dim figures">
            {number(done)}
            {total > 0 && ` of ${number(total)}`} rows
            {phase === 'sending' && rate > 0 && ` · ${number(Math.round(rate))} rows/s · ${duration((total - done) / rate)} left`}
            {failed > 0 && ` · ${number(failed)} failed`}
          </p>
        </div>
      )}
      {isUnderWay && (
        <>
          <div className="pager start">
            {phase === 'sending' ? (
              <button type="button" onClick={run.stop}>
                Stop
              </button>
            ) : (
              <button type="button" className="primary" onClick={run.resume}>
                Resume
              </button>
            )}
          </div>
          {problem && (
            <p className="bad" role="alert">
              {problem}
            </p>
          )}
          <p className="dim">
            Leave this page open. If it is closed, choose the same file again within a day: what was sent is not sent twice.
          </p>
        </>
      )}
      {phase === 'checked' && <Start rows={done - failed} started={started} onStart={(again) => void run.start(again)} onBack={onChangeColumns} />}
      {(phase === 'checked' || phase === 'done' || phase === 'stopped') && <Failures failures={failures} count={failed} />}
      {(phase === 'done' || phase === 'stopped' || (phase === 'checked' && failed > 0)) && (
        <div className="pager start">
          <button type="button" className={phase === 'done' ? 'primary' : undefined} onClick={() => download('report.csv', run.report())}>
            Download the report
          </button>
        </div>
      )}
      {phase === 'unreadable' && (
        <div className="pager start">
          <button type="button" onClick={onChangeColumns}>
            Back to the columns
          </button>
        </div>
      )}
      {phase !== 'checking' && phase !== 'unreadable' && (
        <details>
          <summary>As a command</summary>
          <pre tabIndex={0} role="region" aria-label="Command">
            {command}
          </pre>
        </details>
      )}
    </>
  );
}

function statusOf({ phase, done, failed, problem }: Progress, { displayName }: Provider): string {
  const good = number(done - failed);
  switch (phase) {
    case 'new':
    case 'checking':
      return 'Checking all rows. Nothing is sent.';
    case 'checked':
      return failed ? `${good} of ${plural(done, 'row')} can be sent, ${number(failed)} cannot.` : `All ${plural(done, 'row')} can be sent.`;
    case 'sending':
      return `Sending to ${displayName}.`;
    case 'stopped':
      return 'Stopped.';
    case 'done':
      return `${good} of ${plural(done, 'row')} done, ${number(failed)} failed.`;
    case 'unreadable':
      return problem;
  }
}

interface StartProps {
  rows: number;
  started: Started | undefined;
  onStart: (again: boolean) => void;
  onBack: () => void;
}

/** The last step before something is sent, with what happens if this file was sent before. */
function Start({ rows, started, onStart, onBack }: StartProps) {
  const [again, setAgain] = useState(false);
  const isTooOld = started !== undefined && !areKeysValid(started);
  return (
    <>
      {started && (
        <div className="partial">
          <p>
            This file was sent from here, beginning at {dayAndTime(new Date(started.at).toISOString())}.{' '}
            {isTooOld ? 'The gateway no longer knows which rows were done.' : 'What was done is not sent again.'}
          </p>
          <label className="check">
            <input type="checkbox" checked={again} onChange={({ target }) => setAgain(target.checked)} /> Send all rows again
          </label>
        </div>
      )}
      <div className="pager start">
        <button type="button" className="primary" disabled={!rows || (isTooOld && !again)} onClick={() => onStart(again)}>
          Import {plural(rows, 'row')}
        </button>
        <button type="button" onClick={onBack}>
          Back to the columns
        </button>
      </div>
    </>
  );
}

function useWarningOnLeaving(isOn: boolean) {
  useEffect(() => {
    if (!isOn) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', warn);
    return () => removeEventListener('beforeunload', warn);
  }, [isOn]);
}
