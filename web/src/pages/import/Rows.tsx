import { useEffect, useState } from 'react';
import { useClient } from 'urql';
import { ColumnTable } from './ColumnTable';
import { ImportRun } from './ImportRun';
import { commandOf, guessed, isSupported, type Kind, KINDS, likely, planOf, problemOf, type Provider, renamingOf, targetsOf } from './kinds';
import type { Renaming } from './rows';
import { RunView } from './RunView';
import { digestOf, startOf, type Started } from './runKey';

interface Props {
  file: File;
  columns: ReadonlyMap<string, readonly unknown[]>;
  providers: readonly Provider[];
  onLeave: () => void;
}

interface Checked {
  run: ImportRun;
  started: Started | undefined;
}

/** What the rows of a file are, and then their import. */
export function Rows({ file, columns, providers, onLeave }: Props) {
  const client = useClient();
  const [guess] = useState(() => likely(columns.keys(), providers));
  const [key, setKey] = useState(guess.provider.key);
  const provider = providers.find((each) => each.key === key) ?? providers[0]!;
  const kinds = KINDS.filter((each) => isSupported(provider, each.kind));
  const [chosenKind, setKind] = useState<Kind>(guess.kind);
  const kind = kinds.some((each) => each.kind === chosenKind) ? chosenKind : kinds[0]!.kind;
  const targets = targetsOf(provider, kind);
  const [changes, setChanges] = useState<Renaming>(new Map());
  const chosen = new Map([...guessed(columns.keys(), targets, kind), ...changes]);
  const renaming = renamingOf(chosen, targets, kind);
  const problem = problemOf(chosen, targets, kind);
  const [checked, setChecked] = useState<Checked | null>(null);
  const [isReading, setIsReading] = useState(false);
  useEffect(() => () => checked?.run.leave(), [checked]);

  async function check() {
    setIsReading(true);
    // A file that cannot be read is reported by the check itself.
    const digest = await digestOf(file, renaming, provider.key, kind).catch(() => '');
    setIsReading(false);
    const run = new ImportRun(client, file, renaming, digest, () => planOf(client, provider, kind));
    setChecked({ run, started: startOf(digest) });
    await run.check();
  }

  const command = commandOf(file, provider, kind, renaming);
  return (
    <>
      <div className="heading">
        <h2 className="title">{file.name}</h2>
        <button type="button" onClick={onLeave}>
          Choose another file
        </button>
      </div>
      {checked ? (
        <RunView {...checked} command={command} provider={provider} onChangeColumns={() => setChecked(null)} />
      ) : (
        <>
          <div className="filters">
            <label>
              <span>Provider</span>
              <select value={provider.key} onChange={({ target }) => (setKey(target.value), setChanges(new Map()))}>
                {providers.map((each) => (
                  <option key={each.key} value={each.key}>
                    {each.displayName} ({each.key})
                  </option>
                ))}
              </select>
            </label>
            <label>
              <span>The rows are</span>
              <select value={kind} onChange={({ target }) => (setKind(target.value as Kind), setChanges(new Map()))}>
                {kinds.map((each) => (
                  <option key={each.kind} value={each.kind}>
                    {each.label}
                  </option>
                ))}
              </select>
            </label>
          </div>
          <ColumnTable
            columns={columns}
            chosen={chosen}
            targets={targets}
            hasAttributes={kind === 'attributes'}
            onChange={(column, target) => setChanges(new Map([...changes, [column, target]]))}
          />
          {provider.kind === 'instaleap' && (
            <p className="partial">A customer’s rows replace all segments that the customer has, and must stand together in the file.</p>
          )}
          {problem && (
            <p className="dim" role="status">
              {problem}
            </p>
          )}
          <button type="button" className="primary" disabled={problem !== null || isReading} onClick={() => void check()}>
            Check all rows
          </button>
        </>
      )}
    </>
  );
}
