import type { GraphQLFormattedError } from "graphql";
import { useCallback } from "react";
import { fetchQuery, graphql, type PreloadedQuery, usePreloadedQuery, useRelayEnvironment } from "react-relay/hooks";
import type { PersonPageQuery } from "./__generated__/PersonPageQuery.graphql";
import { PersonView } from "./PersonView";

interface Properties {
  query: PreloadedQuery<PersonPageQuery>;
  after: string | null | undefined;
  onExpired: () => void;
}

// An error below `person` makes its field null, and the rest is shown; `@catch` returns the errors of `person` itself.
export const personQuery = graphql`
  query PersonPageQuery($email: String, $identity: CustomerIdentityInput) {
    person(email: $email, identity: $identity) @catch {
      ...PersonView_person
    }
  }
`;

export function PersonPage({ query, after, onExpired }: Properties) {
  const environment = useRelayEnvironment();
  const { person } = usePreloadedQuery<PersonPageQuery>(personQuery, query);
  const refresh = useCallback(() => {
    // If this fails, the page stays as it is until the next change.
    fetchQuery(environment, personQuery, query.variables, { fetchPolicy: "network-only" }).subscribe({ error() {} });
  }, [environment, query]);

  if (!person.ok) {
    // Relay keeps the code of an error, not its message.
    const codes = person.errors.map((error) => (error as GraphQLFormattedError).extensions?.["code"]);
    return <p role="alert">This cannot be searched: {codes.join(", ")}</p>;
  }
  if (!person.value) return <p>Nobody is known by this.</p>;
  return <PersonView person={person.value} after={after} refresh={refresh} onExpired={onExpired} />;
}
