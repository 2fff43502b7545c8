"""The life of an objection, as a table. Pure."""

from __future__ import annotations

from central.audit.tags import Tag
from central.identity.permissions import Permission
from central.kit.states import Machine, Transition

OWN = ""
"""The worker's own step: no permission gives it to anybody else."""
_ANSWER = Permission.ATTENDANCE_OBJECTION_WRITE
_DECIDE = Permission.ATTENDANCE_OBJECTION_DECIDE

OBJECTION: Machine[str, str] = Machine(
    "the objection",
    [
        Transition("open", "uphold", "upheld", _ANSWER, Tag.OBJECTION_UPHOLD),
        Transition("open", "refuse", "refused", _ANSWER, Tag.OBJECTION_REFUSE),
        Transition("open", "withdraw", "withdrawn", OWN, Tag.OBJECTION_WITHDRAW),
        Transition("refused", "insist", "insisted", OWN, Tag.OBJECTION_INSIST),
        Transition("insisted", "uphold", "upheld", _DECIDE, Tag.OBJECTION_UPHOLD),
        Transition("insisted", "refuse", "dismissed", _DECIDE, Tag.OBJECTION_REFUSE),
        Transition("insisted", "withdraw", "withdrawn", OWN, Tag.OBJECTION_WITHDRAW),
    ],
)
"""`open`: the employer answers. `refused`: the worker may insist, within days. `insisted`: the client decides.
`upheld`, `dismissed`, `withdrawn`: the end. Nothing ends by time alone: what is late stays open and says so."""

WAITING = ("open", "insisted")
STATES = ("open", "upheld", "refused", "withdrawn", "insisted", "dismissed")
