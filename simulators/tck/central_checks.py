"""What a central must do: every check of central's side, in the order in which a report lists them."""

from __future__ import annotations

from simulators.tck.checks import Check

API = "give --api and --token: it is seen in central's JSON API only"

CENTRAL_CHECKS: tuple[Check, ...] = (
    Check(
        "DUR-02.51",
        "A batch that comes again changes nothing, and is acknowledged again.",
        "Key events by (journalid, sequence) for ever; answer a repetition with what is held.",
        "repetition",
    ),
    Check(
        "DUR-02.52",
        "An event counts once: repeated, in overlapping batches, on both lanes.",
        "Store under a unique key; never recognise a repetition by a time window.",
        "repetition",
    ),
    Check(
        "DUR-03.51",
        "A batch is acknowledged with the highest gap-free number and that event's hash.",
        "Answer on the terminal's ack topic once the transaction has committed.",
        "order",
    ),
    Check(
        "DUR-03.52",
        "A birth is answered, also when nothing of the journal is held: durable 0, 64 zeros, nothing in `have`.",
        "Answer every birth of a registered terminal.",
        "greeting",
    ),
    Check(
        "DUR-03.53",
        "While heartbeats say that something is outstanding, the ack is repeated.",
        "Repeat the ack at least every 30 seconds while `unacknowledged` is above 0.",
        "greeting",
    ),
    Check(
        "DUR-03.54",
        "What is acknowledged can be read at that moment.",
        "Acknowledge behind the commit, never before it.",
        "order",
    ),
    Check(
        "DUR-03.55",
        "After central and its database were killed and started again, everything acknowledged is still held.",
        "Commit with synchronous_commit on, and send the ack behind the commit.",
        "crash",
    ),
    Check(
        "DUR-03.56",
        "An acknowledgement is never ahead of what was sent.",
        "Count what the database holds, not what birth or heartbeat say.",
        "greeting",
    ),
    Check(
        "DUR-03.57",
        "Every ack fits its schema.",
        "Validate against ack.schema.json.",
    ),
    Check(
        "DUR-04.51",
        "A journal's epoch never falls, and central's state names none lower.",
        "Store the epoch in the database; raise it when a terminal knows of more than you hold.",
    ),
    Check(
        "DUR-04.52",
        "A terminal whose birth believed more than central holds is asked again, under a higher epoch.",
        "Where a birth's `durable` is above what is held, raise the epoch and answer with what is held.",
        "backup",
    ),
    Check(
        "DUR-05.51",
        "Batches that arrive backwards end in the same state as in order.",
        "Hold what is beyond a gap, name it in `have`, and close the gap whenever it comes.",
        "order",
    ),
    Check(
        "DUR-05.52",
        "Inside a terminal the number decides what was later, whatever the wall clock says.",
        "Order a terminal's taps by sequence.",
        "presence",
    ),
    Check(
        "DUR-06.51",
        "`durable` stops before a gap, and `have` names what is beyond.",
        "Never let `durable` pass a number that you do not hold.",
        "gaps",
    ),
    Check(
        "DUR-06.52",
        "The headcount says that records of the terminal are missing.",
        "Compare the head of the last birth or heartbeat with what is held.",
        "gaps",
    ),
    Check(
        "DUR-06.53",
        "The same number with other bytes never overwrites: the first bytes stay, and the ack carries their hash.",
        "Compare hashes on a repeated key; quarantine the later one and raise an alarm.",
        "forks",
    ),
    Check(
        "DUR-06.54",
        "An event whose `prevhash` is not its predecessor's hash is held and counted.",
        "Report the broken chain; do not drop evidence for it.",
        "forks",
    ),
    Check(
        "DUR-06.55",
        "What cannot be counted is kept in quarantine with its reason.",
        "Keep the bytes and the reason; answer the sender with an honest `have`.",
        "mistakes",
    ),
    Check(
        "DUR-06.56",
        "One event that cannot be read does not stop the rest of its batch, nor the terminal.",
        "Hold a malformed event under its key where that can be read.",
        "mistakes",
    ),
    Check(
        "DUR-06.57",
        "More than 1,000 gaps at once are survived: acks stay within 1,000 ranges, and everything is taken in the end.",
        "Take the nearest ranges, leave out the furthest without naming them, and take them when they come again.",
        "gaps",
    ),
    Check(
        "DUR-08.51",
        "The newest taps count as soon as they came on `live`, before the backlog below them.",
        "Fold presence from what is held, not from the gap-free part.",
        "backlog",
    ),
    Check(
        "DUR-08.52",
        "The backlog is taken to its end.",
        "Work through `events` while `live` goes on.",
        "backlog",
    ),
    Check(
        "TIM-01.51",
        "Taps of 1970, of 2099 and of an unset clock are acknowledged and counted, with a time not called measured.",
        "Bound an unbelievable time by its neighbours and the receipt; never refuse it.",
        "clocks",
    ),
    Check(
        "TIM-01.52",
        "A tap of a synchronised clock keeps its time, as measured.",
        "Store the terminal's time with its basis.",
        "clocks",
    ),
    Check(
        "CRD-01.51",
        "An exit proven less well than its entry takes nobody off the list.",
        "Compare the assurance of exit and entry.",
        "presence",
    ),
    Check(
        "IDT-01.51",
        "A terminal that is not registered is not acknowledged; what it sent is kept aside.",
        "Look the topic's codes up before anything else.",
        "strangers",
    ),
    Check(
        "IDT-01.52",
        "A journal belongs to the terminal that began it: another one's is neither taken nor acknowledged.",
        "Bind a journal to the terminal of its first event.",
        "strangers",
    ),
    Check(
        "IDT-01.53",
        "An event whose `source` is not the topic's terminal is not counted.",
        "Compare `source` with the topic.",
        "strangers",
    ),
    Check(
        "IDT-01.54",
        "Central's state is retained, says online, and fits its schema.",
        "Publish ccs/v1/central/state retained, with the will saying offline.",
        "greeting",
    ),
    Check(
        "INC-01.51",
        "Who came in is inside, who went out is not.",
        "Fold each person's accepted taps.",
        "presence",
    ),
    Check(
        "INC-01.52",
        "An unknown card is counted as one, and raises the upper bound.",
        "Count cards without a holder apart from workers, and in `at_most`.",
        "presence",
    ),
    Check(
        "INC-01.53",
        "The headcount names its instant and how fresh each terminal is; one that said goodbye is not fresh.",
        "Give `as_of`, and for each terminal `freshness` and `heard_at`.",
        "freshness",
    ),
    Check(
        "INC-01.54",
        "A will of an earlier boot does not make a terminal offline that was born since.",
        "Compare the will's boot id and time with the current birth.",
        "freshness",
    ),
    Check(
        "INC-02.51",
        "The site's whole roster is retained and fits its schema; its signature verifies.",
        "Sign the body's bytes with Ed25519; retain whole rosters, not deltas.",
        "roster",
    ),
    Check(
        "INC-02.52",
        "The roster names the registered cards by token.",
        "Put every card of those employed on the site into `entries`.",
        "roster",
    ),
    Check(
        "INC-02.53",
        "Rosters name who is inside: who comes in appears, who goes out disappears, versions rise, deltas fit.",
        "Publish at each change of the inside set: a delta on the last version, or a whole one.",
        "roster",
    ),
    Check(
        "INC-03.51",
        "What is retained as incident is empty or fits its schema.",
        "Retain an open incident; end it with an empty payload.",
        "greeting",
    ),
    Check(
        "PRV-01.51",
        "The headcount names nobody.",
        "Serve names apart, to those who may see them, with an audit entry.",
        "presence",
    ),
)
