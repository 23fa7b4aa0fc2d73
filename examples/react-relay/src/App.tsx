import { type FormEvent, Suspense, useCallback, useEffect, useState } from "react";
import { fetchQuery, graphql, useQueryLoader, useRelayEnvironment } from "react-relay/hooks";
import type { AppCursorQuery } from "./__generated__/AppCursorQuery.graphql";
import type { PersonPageQuery, PersonPageQuery$variables } from "./__generated__/PersonPageQuery.graphql";
import { ErrorBoundary } from "./ErrorBoundary";
import { PersonPage, personQuery } from "./PersonPage";

const EXAMPLE = "voucherify:crm-00001";

const cursorQuery = graphql`
  query AppCursorQuery {
    changesCursor
  }
`;

export function App() {
  const environment = useRelayEnvironment();
  const [variables, setVariables] = useState(() => personNamedBy(EXAMPLE));
  const [person, loadPerson, dropPerson] = useQueryLoader<PersonPageQuery>(personQuery);
  const [after, setAfter] = useState<string | null>();
  const [problem, setProblem] = useState<string | null>(null);
  const restart = useCallback(() => setVariables((variables) => ({ ...variables })), []);

  // Take the cursor first, then read the person, then follow the changes behind the cursor: nothing is missed in between.
  useEffect(() => {
    setProblem(null);
    dropPerson();
    const cursor = fetchQuery<AppCursorQuery>(environment, cursorQuery, {}, { fetchPolicy: "network-only" });
    const request = cursor.subscribe({
      next({ changesCursor }) {
        setAfter(changesCursor);
        loadPerson(variables, { fetchPolicy: "network-only" });
      },
      error: ({ message }: Error) => setProblem(message),
    });
    return () => request.unsubscribe();
  }, [environment, variables, loadPerson, dropPerson]);

  function show(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("person"));
    setVariables(personNamedBy(text.trim()));
  }

  const loading = <p>Loading …</p>;
  return (
    <main>
      <h1>Segments of a person</h1>
      <form onSubmit={show}>
        <label>
          Email address, or provider:key <input name="person" defaultValue={EXAMPLE} required />
        </label>{" "}
        <button>Show</button>
      </form>
      {problem && <p role="alert">{problem}</p>}
      {!problem && !person && loading}
      {person && (
        <ErrorBoundary key={person.fetchKey}>
          <Suspense fallback={loading}>
            <PersonPage query={person} after={after} onExpired={restart} />
          </Suspense>
        </ErrorBoundary>
      )}
    </main>
  );
}

/** Read what was typed: an email address, or a provider and one of its keys, as in `voucherify:crm-00001`. */
function personNamedBy(text: string): PersonPageQuery$variables {
  const colon = text.indexOf(":");
  if (colon < 0) return { email: text };
  return { identity: { provider: text.slice(0, colon), externalId: text.slice(colon + 1) } };
}
