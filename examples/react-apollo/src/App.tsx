import { useQuery } from "@apollo/client/react";
import { type FormEvent, useCallback, useState } from "react";
import { CursorDocument, type PersonQueryVariables } from "./gql/graphql";
import { PersonPage } from "./PersonPage";
import { personNamedBy } from "./person";

const EXAMPLE = "voucherify:crm-00001";

export function App() {
  const [{ variables, number }, setSearch] = useState({ variables: personNamedBy(EXAMPLE), number: 0 });
  const restart = useCallback(() => setSearch((search) => ({ ...search, number: search.number + 1 })), []);

  function show(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("person"));
    setSearch(({ number }) => ({ variables: personNamedBy(text.trim()), number: number + 1 }));
  }

  return (
    <main>
      <h1>Segments of a person</h1>
      <form onSubmit={show}>
        <label>
          Email address, or provider:key <input name="person" defaultValue={EXAMPLE} required />
        </label>{" "}
        <button>Show</button>
      </form>
      <Found key={number} variables={variables} onExpired={restart} />
    </main>
  );
}

/** Take the cursor first, then read the person, then follow the changes behind the cursor: nothing is missed in between. */
function Found({ variables, onExpired }: { variables: PersonQueryVariables; onExpired: () => void }) {
  const { data, error } = useQuery(CursorDocument, { fetchPolicy: "no-cache" });
  if (!data) return error ? <p role="alert">{error.message}</p> : <p>Loading …</p>;
  return <PersonPage variables={variables} after={data.changesCursor} onExpired={onExpired} />;
}
