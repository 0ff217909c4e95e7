"""A socket to serve on: bound and listening before its address is told to anybody."""

import socket

from fraud.errors import UsageError


def listen(host: str, port: int, most: int, section: str) -> socket.socket:
    """Bind and listen; whoever connects from now on waits for the first answer.

    Parameters
    ----------
    host : str
    port : int
        0 for any free one.
    most : int
        Connections that may wait.
    section : str
        Section of the settings that names host and port.

    Raises
    ------
    UsageError
        The address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(most)
    except OSError as error:
        bound.close()
        raise UsageError(f"[{section}] host, port: cannot listen there: {error.strerror}.") from None
    return bound
