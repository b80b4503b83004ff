#!/usr/bin/env python
# -*- coding: utf-8 -*-
"""Reads settings.

More about it.
"""

import os

LIMIT = 10
_PRIVATE_NAME: int = 3
lower = 1


@decorator
@other(arg=1)
class Reader(Base, metaclass=Meta):
    """Reads things.

    Slowly.
    """

    field = 1

    def __init__(self, path: str, *, strict: bool = False) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The name."""
        return self.path

    @staticmethod
    async def load(path):
        # nothing
        def nested(x):
            return x

        return nested(path)

    class Inner:
        def deep(self):
            pass


# Says hello.
# To everyone.
def hello(
    name: str,
    times: int = 1,
) -> str:
    r'''Raw doc.'''
    return name * times


def plain(): return 1
