"""What is said of imports in the pages' languages."""

from __future__ import annotations

from central.registry.wording import say

STATES = {
    "uploaded": say("Not checked yet"),
    "checking": say("Being checked"),
    "checked": say("Checked, not taken yet"),
    "refused": say("Refused"),
    "taking": say("Being taken"),
    "taken": say("Taken"),
    "undoing": say("Being undone"),
    "undone": say("Undone"),
    "partly_undone": say("Partly undone"),
    "discarded": say("Thrown away"),
}
TONES = {"checked": "information", "refused": "danger", "taken": "success", "partly_undone": "warning"}
COUNTS = {
    "workers": say("New workers"),
    "employments": say("Employments"),
    "cards": say("Cards"),
    "papers": say("Papers"),
    "labour_contracts": say("Labour contracts"),
    "contracts": say("New contracts"),
    "terms": say("Changed terms"),
    "organizations": say("New organizations"),
    "site_employers": say("Firms brought to a site"),
}
