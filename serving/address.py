"""Where the gateway listens, and the variable with the secret that it shares with its workers."""

import socket

from kinora.errors import KinoraError, UsageError

TOKEN = "KINORA_WORKER_TOKEN"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_address(host: str, port: int) -> None:
    """Refuse an address that cannot be listened at.

    Raises:
        UsageError: if it is none.
        KinoraError: if something listens there, or nothing may.
    """
    if not 1 <= port <= 65535:
        raise UsageError(f"{port} is no port; give one from 1 to 65535.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise KinoraError(
                f"{host} port {port} cannot be used ({reason}); stop what uses it, or name another with --port."
            ) from error
