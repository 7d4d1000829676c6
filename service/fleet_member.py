"""One of several server processes: serves as long as the fleet's supervisor lives and does not tell it to end.

Run as ``python -m service.fleet_member`` with a lifeline as its standard input, which brings the settings first.
"""

import asyncio
import os
import signal
import sys

import structlog
import uvloop

from models.errors import DangolError
from service.lifeline import Lifeline, confession
from service.logs import configure_logs
from service.server import serve_alone
from service.settings import handed_over


async def _serve() -> int:
    """Serve, drain and give the exit code."""
    lifeline = await Lifeline.inherited()
    word = await lifeline.hear()
    if word is None:
        return 1
    settings = handed_over(word["settings"])
    configure_logs(settings.log_level)
    orphaned = asyncio.create_task(_drain_when_orphaned(lifeline))
    try:
        await serve_alone(settings, settings.redis_url)
    except Exception as error:  # noqa: BLE001 - the outermost layer: the supervisor tells whatever it is
        if not isinstance(error, DangolError):
            structlog.get_logger("dangol").error("the process cannot go on", exc_info=error)
        lifeline.tell(**confession(error))
        return 1
    finally:
        orphaned.cancel()
        lifeline.close()
    return 0


async def _drain_when_orphaned(lifeline: Lifeline) -> None:
    while await lifeline.hear() is not None:
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(uvloop.run(_serve()))
