"""What the server logs: messages redacted, exceptions by type and place, never by their text."""

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

_Info = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PlaceFormatter(logging.Formatter):
    """Formatter that tells where an exception was raised but not what it said: that could be a patient's."""

    def formatException(self, ei: _Info) -> str:  # noqa: N802
        """Type of the exception and the places it went through, the innermost last."""
        places = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_tb(ei[2])]
        return f"{ei[0].__name__ if ei[0] else 'None'} at {' > '.join(places[-6:])}"


def description() -> dict[str, Any]:
    """Logging of the workbench, for `logging.config.dictConfig`."""
    handled = {"handlers": ["stderr"], "level": "WARNING", "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"redact": {"()": "fraud.privacy.RedactingFilter"}},
        "formatters": {
            "place": {"()": PlaceFormatter, "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "filters": ["redact"],
                "formatter": "place",
                "stream": sys.stderr,
            }
        },
        "loggers": dict.fromkeys(("django", "uvicorn.error"), handled),
    }
