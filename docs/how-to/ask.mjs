// Send an operation; try again, as often as it makes sense, what may succeed later.

const MAX_ATTEMPTS = 3;

export async function ask(url, authorization, body) {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(url, {
      method: "POST",
      headers: { authorization, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const result = await response.json();
    const temporary = result.errors?.find(
      ({ extensions }) => extensions.retryable || extensions.retryAfterMs,
    );
    if (!temporary || attempt === MAX_ATTEMPTS) return result;
    const waitMs = temporary.extensions.retryAfterMs ?? 500 * 2 ** attempt;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
