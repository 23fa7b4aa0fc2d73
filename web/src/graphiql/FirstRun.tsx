import { pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useRef } from 'react';

/** Runs the first example on a first visit, as soon as the schema is there, so that there is an answer to look at. */
export function FirstRun() {
  const { operationName, responseEditor, schema } = useGraphiQL(pick('operationName', 'responseEditor', 'schema'));
  const { run } = useGraphiQLActions();
  const hasRun = useRef(false);
  const isReady = Boolean(operationName && responseEditor && schema);
  useEffect(() => {
    if (!isReady || hasRun.current) return;
    hasRun.current = true;
    run();
  }, [isReady, run]);
  return null;
}
