"""Module doc."""

import os
import sys

A = 1
B = 2
C = 3


class Small:
    def a(self):
        return 1

    def b(self):
        return 2


class Client(Base):
    """Talks to the server."""

    retries = 3

    def __init__(self, host, port, timeout=10, retries=3, verify=True):
        self.host = host
        self.port = port
        self.timeout = timeout
        self.retries = retries
        self.verify = verify
        self.session = Session(host, port)

    def get(self, path, params=None, headers=None):
        """Gets a path."""
        for attempt in range(self.retries):
            try:
                response = self.session.request("GET", path, params=params, headers=headers)
            except ConnectionError:
                self.session.reconnect()
                continue
            if response.ok:
                return response.json()

            raise HttpError(response.status, response.text)
        raise TooManyRetries(path)

    # A note between.

    def close(self):
        self.session.close()


if __name__ == "__main__":
    Client("localhost", 80).get("/")
