"""Install the GraphQL clients that `tests/clients/` runs against the gateway."""

from node import ROOT, install, path_to_node

CLIENTS = ROOT / "tests" / "clients"


def main() -> None:
    """Install the clients."""
    print("Installing the GraphQL clients for the tests (once) …", flush=True)
    path = path_to_node()
    install(CLIENTS, path)
    install(CLIENTS / "federation", path)
    (CLIENTS / "node_modules" / ".package-lock.json").touch()


if __name__ == "__main__":
    main()
