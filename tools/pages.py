"""Build the browser pages from `web/` into `gateway/http/pages/static/`."""

from node import ROOT, install, npm, path_to_node

WEB = ROOT / "web"


def main() -> None:
    """Build the pages."""
    path = path_to_node()
    print("Building the pages (once, under a minute) …", flush=True)
    install(WEB, path)
    npm(WEB, path, "run", "build")
    (ROOT / "gateway" / "http" / "pages" / "static" / "index.html").touch()


if __name__ == "__main__":
    main()
