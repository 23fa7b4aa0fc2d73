# The image contains /opt/gateway and nothing else of this tree. docs/deploying.md shows how to run it.
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN ["deploy/install.sh", "/opt/gateway"]

FROM python:3.13-slim-bookworm
COPY --from=build /opt/gateway /opt/gateway
# /var/lib/segment-gateway holds the store if it is SQLite: mount a volume there.
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin gateway \
    && install --directory --owner=gateway --group=gateway /var/lib/segment-gateway
USER 10001:10001
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/var/lib
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["gateway"]
CMD ["serve", "--host", "0.0.0.0", "--config", "/etc/segment-gateway/gateway.toml"]
