"""What the scheduler does for the worker's own view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from central.kit.db import make_engine, write_session
from central.kit.sealed import Seal, load_data_key
from central.myself import telling

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.config import Settings


def remind(settings: Settings, *, now: datetime) -> dict[str, int]:
    """Remind those who have to answer an objection, where mail goes out."""
    if not (settings.smtp_url and settings.public_url):
        return {}
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        with write_session(engine) as session:
            seal = Seal(load_data_key(settings.data_key_file))
            return telling.remind(session, seal, public_url=settings.public_url.rstrip("/"), now=now)
    finally:
        engine.dispose()
