"""Composition root of the scheduler: names, times, one line a job. Jobs are idempotent and leased in SQL."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger
from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy.exc import SQLAlchemyError

import central.models  # noqa: F401 - every table is known before the first one is written
from central.attendance import changed_cards, jobs, months, retention
from central.attendance.intake import connect
from central.audit.anchors import renew
from central.identity.accounts import expire_tokens, prune
from central.kit.clock import SystemClock
from central.kit.db import make_engine, read_session, write_session
from central.kit.mail import MAIL, mail_of
from central.kit.metrics import serve_metrics
from central.kit.outbox import prune_outgoing, relay
from central.kit.sealed import Seal, load_data_key
from central.kit.sms import SMS, sms_of
from central.myself import jobs as objection_jobs
from central.privacy.erasure import erase_what_is_over
from central.privacy.passing import end_what_is_over
from central.registry.cards import ZONE
from central.registry.imports import throw_away_old

if TYPE_CHECKING:
    from collections.abc import Callable

    from central.kit.clock import Clock
    from central.kit.config import Settings

JOBS_AT_ONCE_MAX = 2
MISFIRE_S_MAX = 3600
"""A start missed by less (the process was down) is made up for."""
STUCK_S_MAX = 3600.0
BEAT_S = 1.0
MAIL_EVERY_S = 10
SMS_EVERY_S = 3
"""Somebody waits for the code in it."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """What is started, and when (UTC)."""

    name: str
    trigger: Any
    run: Callable[[Settings, psycopg.Connection[Any], datetime], object]
    quiet: bool = False
    """Runs so often that only a run with an outcome is worth a line in the log."""


def all_jobs() -> tuple[Job, ...]:
    """List every job. 17:30 UTC is 02:30 in Korea."""
    return (
        Job("presence", CronTrigger(hour=17, minute=30, timezone=UTC), _presence),
        Job("quarantine-digest", CronTrigger(hour=22, minute=0, timezone=UTC), _digest),
        Job("months", CronTrigger(hour=18, minute=30, timezone=UTC), _months),
        Job("mail", IntervalTrigger(seconds=MAIL_EVERY_S, timezone=UTC), _mail, quiet=True),
        Job("sms", IntervalTrigger(seconds=SMS_EVERY_S, timezone=UTC), _sms, quiet=True),
        Job("objections", CronTrigger(hour=0, minute=0, timezone=UTC), _objections),
        Job("retention", CronTrigger(hour=19, minute=0, timezone=UTC), _retention),
        Job("audit-anchor", CronTrigger(hour=19, minute=30, timezone=UTC), _audit_anchor),
        Job("expired-access", IntervalTrigger(minutes=10, timezone=UTC), _expired_access),
        Job("changed-cards", IntervalTrigger(minutes=1, timezone=UTC), _changed_cards, quiet=True),
    )


def _presence(_settings: Settings, connection: psycopg.Connection[Any], now: datetime) -> object:
    return jobs.recompute_presence(connection, now=now)


def _digest(_settings: Settings, connection: psycopg.Connection[Any], now: datetime) -> object:
    return jobs.quarantine_digest(connection, now=now)


def _months(settings: Settings, connection: psycopg.Connection[Any], now: datetime) -> object:
    """Make the months to come, and let go of those that the rule no longer keeps."""
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        gone = retention.let_go(engine, connection, actor="system:scheduler", now=now)
    finally:
        engine.dispose()
    return {"made": months.make_ahead(connection, now=now), "let_go": gone}


def _retention(settings: Settings, _connection: psycopg.Connection[Any], now: datetime) -> object:
    """Erase what no rule keeps of people any longer."""
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        today = now.astimezone(ZONE).date()
        erased = erase_what_is_over(engine, actor="system:scheduler", today=today, now=now)
        return {"workers": erased} | end_what_is_over(engine, actor="system:scheduler", today=today, now=now)
    finally:
        engine.dispose()


def _audit_anchor(settings: Settings, _connection: psycopg.Connection[Any], now: datetime) -> object:
    """Walk the audit trail, and put its length and head into the log and the anchor file: both leave this database."""
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        with read_session(engine) as session:
            wrong, anchor = renew(session, settings.audit_anchor_file, now=now)
    finally:
        engine.dispose()
    if wrong:
        _log.error("audit_trail_broken", reason=wrong)
    return {"wrong": wrong} if wrong else {"anchor": anchor.line()}


def _expired_access(settings: Settings, _connection: psycopg.Connection[Any], now: datetime) -> object:
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        with write_session(engine) as session:
            expired = expire_tokens(session, actor="system:scheduler", now=now)
            gone = prune(session, now=now) + prune_outgoing(session, now=now) + throw_away_old(session, now=now)
            return {"tokens_expired": expired, "pruned": gone}
    finally:
        engine.dispose()


def _mail(settings: Settings, _connection: psycopg.Connection[Any], now: datetime) -> object:
    """Send the mail that is due. What cannot be opened or sent stays, and the log says why."""
    mail = mail_of(settings)
    if mail is None:
        return None
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        return relay(engine, Seal(load_data_key(settings.data_key_file)), channel=MAIL, send=mail.send, now=now)
    finally:
        engine.dispose()


def _sms(settings: Settings, _connection: psycopg.Connection[Any], now: datetime) -> object:
    """Send the text messages that are due, as `_mail` does."""
    sms = sms_of(settings)
    if sms is None:
        return None
    engine = make_engine(settings.database_url, pool_size=1)
    try:
        return relay(engine, Seal(load_data_key(settings.data_key_file)), channel=SMS, send=sms.send, now=now)
    finally:
        engine.dispose()


def _changed_cards(_settings: Settings, connection: psycopg.Connection[Any], now: datetime) -> object:
    return changed_cards.settle(connection, now=now)


def _objections(settings: Settings, _connection: psycopg.Connection[Any], now: datetime) -> object:
    return objection_jobs.remind(settings, now=now)


class Scheduler:
    """Starts the jobs, each on its own connection, and counts how they end."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self.registry = CollectorRegistry()
        self._runs = Counter("ccs_job_runs", "Jobs run to their end.", ["job"], registry=self.registry)
        self._failures = Counter("ccs_job_failures", "Jobs that failed.", ["job"], registry=self.registry)
        self._last = Gauge(
            "ccs_job_last_success_timestamp", "When it last ended well.", ["job"], registry=self.registry
        )
        self._beat = time.monotonic()

    def run_job(self, job: Job) -> bool:
        """Run one job if no other process runs it; answer whether it ran to its end."""
        try:
            with connect(self._settings.database_url) as connection, jobs.leased(connection, job.name) as mine:
                if not mine:
                    _log.info("job_elsewhere", job=job.name)
                    return False
                outcome = job.run(self._settings, connection, self._clock.now())
        except (psycopg.Error, SQLAlchemyError) as exc:
            self._failures.labels(job.name).inc()
            _log.error("job_failed", job=job.name, error=str(exc).strip())
            return False
        self._runs.labels(job.name).inc()
        self._last.labels(job.name).set(self._clock.now().timestamp())
        if outcome or not job.quiet:
            _log.info("job_done", job=job.name, outcome=outcome)
        return True

    def run(self, stop: threading.Event) -> None:
        """Start jobs at their times until `stop`."""
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(JOBS_AT_ONCE_MAX)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": MISFIRE_S_MAX},
        )
        for job in all_jobs():
            scheduler.add_job(self.run_job, job.trigger, args=(job,), id=job.name)
        with serve_metrics(self._settings.metrics_port, registry=self.registry, alive=self._wrong, ready=self._unready):
            scheduler.start()
            try:
                while not stop.wait(BEAT_S):
                    self._beat = time.monotonic()
            finally:
                scheduler.shutdown(wait=True)

    def _wrong(self) -> str:
        return "the scheduler does not turn: restart it" if time.monotonic() - self._beat > STUCK_S_MAX else ""

    def _unready(self) -> str:
        try:
            with connect(self._settings.database_url) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return "PostgreSQL does not answer"
        return ""


def run_scheduler(settings: Settings, stop: threading.Event) -> None:
    """Run the scheduler until `stop`. Several may run: each job's lease lets one of them do it."""
    mail_of(settings)  # an address that nobody can use is said now, not when the first mail is due
    sms_of(settings)
    Scheduler(settings).run(stop)
