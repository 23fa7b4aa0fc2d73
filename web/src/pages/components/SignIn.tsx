import { type FormEvent, useState } from 'react';
import { credentialOf } from '../../credential';

/** A form for a key or token, in place of a page while the gateway does not accept the current one. */
export function SignIn({ wasRefused, onSignIn }: { wasRefused: boolean; onSignIn: (credential: string) => void }) {
  const [pasted, setPasted] = useState('');

  function signIn(event: FormEvent) {
    event.preventDefault();
    onSignIn(credentialOf(pasted));
  }

  return (
    <section className="page narrow">
      <h1>Sign in</h1>
      <form className="stack" onSubmit={signIn} aria-label="Sign in">
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
        <p id="sign-in-hint" role="status" className={wasRefused ? 'bad' : 'dim'}>
          {wasRefused
            ? 'This key or token is unknown or has expired.'
            : 'This gateway requires a key or token. To create a key: gateway key create'}
        </p>
        <button type="submit" className="primary">
          Sign in
        </button>
      </form>
    </section>
  );
}
