"""Deadlines, retries, circuit breaker, rate limit and concurrency limit of one provider."""
