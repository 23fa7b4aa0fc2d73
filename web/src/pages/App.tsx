import { lazy, Suspense, useMemo, useState } from 'react';
import { Route, Switch } from 'wouter';
import { Provider } from 'urql';
import { SignInForm } from '../SignInForm';
import { clientFor } from './client';
import { Layout } from './components/Layout';
import { PageTitle } from './components/PageTitle';
import { Loading } from './components/states';
import { LiveProvider } from './live/LiveProvider';
import { NotFound } from './NotFound';
import { Overview } from './overview/Overview';
import { Segments } from './segments/Segments';

const Segment = lazy(() => import('./segment/Segment'));
const People = lazy(() => import('./person/People'));
const Compare = lazy(() => import('./compare/Compare'));
const Import = lazy(() => import('./import/Import'));

/** All pages, with one GraphQL client for as long as the credentials stay the same. */
export function App() {
  // In memory only: a key is gone with the page, unless the browser's password manager stores it.
  const [credential, setCredential] = useState('');
  const [isRefused, setIsRefused] = useState(false);
  const gateway = useMemo(() => clientFor(credential, () => setIsRefused(true)), [credential]);

  function signIn(next: string) {
    setIsRefused(false);
    setCredential(next);
  }

  return (
    <Provider value={gateway.client}>
      <LiveProvider gateway={gateway} isOff={isRefused}>
        <Layout isSignedOut={isRefused} credential={credential} onSignOut={() => signIn('')}>
          {isRefused ? (
            <section className="page narrow">
              <PageTitle>Sign in</PageTitle>
              <SignInForm className="stack" buttonClassName="primary" wasRefused={credential !== ''} onSignIn={signIn} />
            </section>
          ) : (
            <Suspense fallback={<Loading what="the page" />}>
              <Switch>
                <Route path="/" component={Overview} />
                <Route path="/segments" component={Segments} />
                <Route path="/segments/:id">{({ id }) => <Segment key={id} id={decodeURIComponent(id)} />}</Route>
                <Route path="/person" component={People} />
                <Route path="/compare" component={Compare} />
                <Route path="/import" component={Import} />
                <Route component={NotFound} />
              </Switch>
            </Suspense>
          )}
        </Layout>
      </LiveProvider>
    </Provider>
  );
}
