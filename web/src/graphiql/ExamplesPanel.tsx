import { type GraphiQLPlugin, pick, UnStyledButton, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useState } from 'react';
import { asTab, type Example } from './examples';
import { tailored } from './tailoring';

/** A panel that opens an example in a new tab, since the initial tabs may have been edited or closed. */
export function examplesPlugin(all: readonly Example[], authorization: string): GraphiQLPlugin {
  return { title: 'Examples', icon: ListIcon, content: () => <ExamplesPanel all={all} authorization={authorization} /> };
}

function ExamplesPanel({ all, authorization }: { all: readonly Example[]; authorization: string }) {
  const [examples, setExamples] = useState<readonly Example[]>([]);
  useEffect(() => {
    let isLatest = true;
    void tailored(all, authorization).then((found) => isLatest && setExamples(found));
    return () => {
      isLatest = false;
    };
  }, [all, authorization]);
  const { addTab, setVisiblePlugin } = useGraphiQLActions();
  const { queryEditor, variableEditor, headerEditor } = useGraphiQL(
    pick('queryEditor', 'variableEditor', 'headerEditor'),
  );

  function open(example: Example) {
    const { query, variables, headers } = asTab(example);
    addTab();
    queryEditor?.setValue(query);
    variableEditor?.setValue(variables ?? '');
    headerEditor?.setValue(headers ?? '');
    // On a phone the panel covers the tab that it has just opened (page.css).
    if (matchMedia('(max-width: 640px)').matches) setVisiblePlugin(null);
  }

  return (
    <section aria-label="Examples">
      <h2 className="examples-title">Examples</h2>
      <ul className="examples">
        {examples.map((example) => (
          <li key={example.name}>
            <UnStyledButton type="button" onClick={() => open(example)}>
              {example.name}
            </UnStyledButton>
          </li>
        ))}
      </ul>
    </section>
  );
}

function ListIcon(props: object) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" {...props}>
      <path d="M4 6h.01M4 12h.01M4 18h.01M9 6h11M9 12h11M9 18h11" />
    </svg>
  );
}
