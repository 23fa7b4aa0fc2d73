import { type FormEvent, useState } from 'react';
import { credentialOf } from './signIn';

/** Asks who the person is, as long as the gateway does not know. */
export function SignInBar({ wasRefused, onSignIn }: { wasRefused: boolean; onSignIn: (credential: string) => void }) {
  const [pasted, setPasted] = useState('');

  function signIn(event: FormEvent) {
    event.preventDefault();
    onSignIn(credentialOf(pasted));
  }

  return (
    <form className="graphiql-container sign-in" aria-label="Sign in" onSubmit={signIn}>
      <label htmlFor="credential">API key or token</label>
      <input
        id="credential"
        type="password"
        autoComplete="current-password"
        required
        aria-describedby="sign-in-hint"
        value={pasted}
        onChange={(event) => setPasted(event.target.value)}
      />
      <button type="submit" className="graphiql-button">
        Sign in
      </button>
      <p id="sign-in-hint" role="status">
        {wasRefused
          ? 'The gateway does not know this key or token, or it has expired.'
          : 'This gateway answers only who signs in. Keys are made by: gateway key create'}
      </p>
    </form>
  );
}
