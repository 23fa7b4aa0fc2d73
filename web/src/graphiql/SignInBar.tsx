import { type FormEvent, useState } from 'react';
import { credentialOf } from '../credential';

/** A form for a key or token, shown while the gateway does not accept the current one. */
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
          ? 'This key or token is unknown or has expired.'
          : 'This gateway requires a key or token. To create a key: gateway key create'}
      </p>
    </form>
  );
}
