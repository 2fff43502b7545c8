"""The letters that identity sends, in the reader's language, put into the outbox with the act they tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from central.kit.i18n import LANGUAGES, gettext
from central.kit.mail import MAIL
from central.kit.outbox import send_later

if TYPE_CHECKING:
    from datetime import datetime

    from central.kit.db import WriteSession
    from central.kit.sealed import Seal

Change = Literal["factor_added", "factor_removed", "outside_linked", "outside_unlinked", "password_set"]


class Letters:
    """Writes letters where mail goes out; elsewhere it writes none, and callers hand links over themselves."""

    def __init__(self, seal: Seal, *, mail_goes_out: bool) -> None:
        self._seal = seal
        self.go_out = mail_goes_out

    def invite(
        self, session: WriteSession, *, email: str, language: str, link: str, until: datetime, now: datetime
    ) -> None:
        """Send an invitation; it is not sent any more once its link is over."""
        subject = gettext(language, "You are invited to the construction site system")
        body = gettext(
            language,
            "You are invited to the construction site system. Open this address within three days and choose a"
            " password:\n\n%(link)s\n\nIf you did not expect this, do nothing: the address stops working by itself.\n",
            link=link,
        )
        self._put(session, email=email, subject=subject, body=body, now=now, until=until)

    def offer(
        self, session: WriteSession, *, email: str, language: str, link: str, until: datetime, now: datetime
    ) -> None:
        """Offer one more role to who has an account; it is not sent any more once its link is over."""
        subject = gettext(language, "You are offered a role in the construction site system")
        body = gettext(
            language,
            "You are offered one more role in the construction site system. Open this address within three days,"
            " sign in with your account and take it on:\n\n%(link)s\n\nIf you did not expect this, do nothing: the"
            " address stops working by itself.\n",
            link=link,
        )
        self._put(session, email=email, subject=subject, body=body, now=now, until=until)

    def recover(
        self, session: WriteSession, *, email: str, language: str, link: str, until: datetime, now: datetime
    ) -> None:
        """Send the address at which a new password is chosen."""
        subject = gettext(language, "Choose a new password")
        body = gettext(
            language,
            "Somebody, probably you, asked for a new password. Open this address within one hour:\n\n%(link)s\n\n"
            "If it was not you, do nothing: your password stays as it is.\n",
            link=link,
        )
        self._put(session, email=email, subject=subject, body=body, now=now, until=until)

    def warn(self, session: WriteSession, *, email: str, language: str, what: Change, now: datetime) -> None:
        """Tell somebody what was changed at their account."""
        told = {
            "factor_added": gettext(language, "A second factor was added to your account."),
            "factor_removed": gettext(language, "A second factor was removed from your account."),
            "outside_linked": gettext(
                language, "Your account was connected to a sign-in service: it can be entered from there."
            ),
            "outside_unlinked": gettext(language, "Your account was disconnected from a sign-in service."),
            "password_set": gettext(language, "The password of your account was changed."),
        }
        subject = gettext(language, "Your account was changed")
        body = gettext(
            language,
            "%(what)s\n\nIf it was not you, tell a system operator at once.\n",
            what=told[what],
        )
        self._put(session, email=email, subject=subject, body=body, now=now, until=None)

    def _put(
        self, session: WriteSession, *, email: str, subject: str, body: str, now: datetime, until: datetime | None
    ) -> None:
        if self.go_out:
            send_later(
                session,
                self._seal,
                channel=MAIL,
                recipient=email,
                subject=subject,
                body=body,
                now=now,
                useless_at=until,
            )


def checked_language(language: str) -> str:
    """Return a language that letters are written in; Korean for any other."""
    return language if language in LANGUAGES else "ko"
