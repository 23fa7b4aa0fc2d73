import type { Target } from './kinds';
import type { Renaming } from './rows';

interface Props {
  columns: ReadonlyMap<string, readonly unknown[]>;
  chosen: Renaming;
  targets: readonly Target[];
  hasAttributes: boolean;
  onChange: (column: string, target: string) => void;
}

const ATTRIBUTE = 'attribute';

/** What each column of the file is, beside some of its values. */
export function ColumnTable({ columns, chosen, targets, hasAttributes, onChange }: Props) {
  const names = targets.map(({ name }) => name);
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label="Columns">
      <table>
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">Is</th>
          </tr>
        </thead>
        <tbody>
          {[...columns].map(([column, samples]) => {
            const target = chosen.get(column) ?? '';
            const isAttribute = hasAttributes && target !== '' && !names.includes(target);
            return (
              <tr key={column}>
                <th scope="row">
                  {column || <span className="dim">no name</span>}
                  <div className="sample">{samples.map((sample) => (typeof sample === 'string' ? sample : JSON.stringify(sample))).join(', ') || 'empty'}</div>
                </th>
                <td>
                  <select
                    aria-label={`Column ${column} is`}
                    value={isAttribute ? ATTRIBUTE : target}
                    onChange={(event) => onChange(column, event.target.value === ATTRIBUTE ? column : event.target.value)}
                  >
                    {targets.map(({ name, label }) => (
                      <option key={name} value={name}>
                        {label}
                      </option>
                    ))}
                    {hasAttributes && <option value={ATTRIBUTE}>Attribute</option>}
                    <option value="">Not used</option>
                  </select>{' '}
                  {isAttribute && (
                    <input
                      aria-label={`Path of the attribute in column ${column}`}
                      value={target}
                      onChange={(event) => onChange(column, event.target.value.trim() || column)}
                    />
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
