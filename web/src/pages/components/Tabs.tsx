import { type KeyboardEvent, type ReactNode, useId, useRef } from 'react';

interface Props {
  label: string;
  selected: string;
  onSelect: (name: string) => void;
  tabs: Record<string, () => ReactNode>;
}

/** Tabs by the ARIA pattern: arrow keys move between them; only the selected panel is rendered. */
export function Tabs({ label, selected, onSelect, tabs }: Props) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const names = Object.keys(tabs);

  function move(event: KeyboardEvent) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const index = (names.indexOf(selected) + step + names.length) % names.length;
    onSelect(names[index]!);
    list.current?.querySelectorAll('button')[index]?.focus();
  }

  return (
    <div className="tabs">
      <div role="tablist" aria-label={label} ref={list} onKeyDown={move}>
        {names.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${id}-${name}-tab`}
            aria-selected={name === selected}
            aria-controls={`${id}-${name}`}
            tabIndex={name === selected ? 0 : -1}
            onClick={() => onSelect(name)}
          >
            {name}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-${selected}`} aria-labelledby={`${id}-${selected}-tab`} tabIndex={0}>
        {tabs[selected]?.()}
      </div>
    </div>
  );
}
