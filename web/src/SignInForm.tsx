import { type FormEvent, useState } from 'react';
import { credentialOf } from './credential';

interface Props {
  wasRefused: boolean;
  onSignIn: (credential: string) => void;
  className: string;
  buttonClassName: string;
}

/** A form for a key or token, shown while the gateway does not accept the current one. */
export function SignInForm({ wasRefused, onSignIn, className, buttonClassName }: Props) {
  const [pasted, setPasted] = useState('');

  function signIn(event: FormEvent) {
    event.preventDefault();
    onSignIn(credentialOf(pasted));
  }

  return (
    <form className={className} aria-label="Sign in" onSubmit={signIn}>
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
      <button type="submit" className={buttonClassName}>
        Sign in
      </button>
      <p id="sign-in-hint" role="status" className={wasRefused ? 'bad' : 'dim'}>
        {wasRefused
          ? 'This key or token is unknown or has expired.'
          : 'This gateway requires a key or token. To create a key: gateway key create'}
      </p>
    </form>
  );
}
