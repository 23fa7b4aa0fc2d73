"""The server's end of connections: uvicorn's, bounded, and quick where requests come again."""
