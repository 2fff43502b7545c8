"""What a terminal must do: every check of the terminal's side, in the order in which a report lists them.

Numbers below 50 are the terminal's, from 51 on central's. A number is never given to another check.
"""

from __future__ import annotations

from simulators.tck.checks import Check

TERMINAL_CHECKS: tuple[Check, ...] = (
    Check(
        "DUR-01.1",
        "Every tap that was answered with a colour arrives as an event, under the number that the answer named.",
        "Store the event first, fsync, then show the colour; send everything that is stored.",
    ),
    Check(
        "DUR-01.2",
        "A tap answered just before kill -9 is there after the restart, and arrives.",
        "Commit the tap to stable storage (fsync) before the colour shows; read it back at start.",
        "kill",
    ),
    Check(
        "DUR-01.3",
        "Without a broker cards are answered and recorded all the same.",
        "Never let the tap path wait for the network: the journal is the queue.",
        "outage",
    ),
    Check(
        "DUR-02.1",
        "The same journal and number always come with the same bytes.",
        "Serialise an event once, keep those bytes, and send them each time; never build it anew.",
    ),
    Check(
        "DUR-02.2",
        "What the broker took and central did not acknowledge is sent again after a while.",
        "Keep a timer for what was sent and is not covered by an ack; PUBACK does not end it.",
        "resend",
    ),
    Check(
        "DUR-02.3",
        "After kill -9 the numbers go on where they stopped, or a new journal id begins at 1.",
        "Give the number in the transaction that stores the event; a new file gets a new journal id.",
        "kill",
    ),
    Check(
        "DUR-02.4",
        "What an ack names in `have` is not sent again while the rest is.",
        "Subtract `have` from what is outstanding, not `durable` alone.",
        "resend",
    ),
    Check(
        "DUR-03.1",
        "PUBACK is no acknowledgement: `unacknowledged` still counts the event, and a restart sends it again.",
        "Let PUBACK free the send window only; count and keep until central's `ack` covers it.",
        "silence",
    ),
    Check(
        "DUR-03.2",
        "An ack of everything brings `unacknowledged` to 0.",
        "Check the ack's hash against your journal, then move the cursor to `durable` and take over `have`.",
        "resend",
    ),
    Check(
        "DUR-03.3",
        "An ack for another journal id moves nothing.",
        "Compare `journal_id` with your own journal before anything else.",
        "silence",
    ),
    Check(
        "DUR-03.4",
        "A malformed ack moves nothing, and the terminal goes on working.",
        "Validate an ack against its schema; log what does not fit and go on.",
        "silence",
    ),
    Check(
        "DUR-03.5",
        "Events go out at QoS 1.",
        "Publish events, live, birth, state and reply at QoS 1.",
    ),
    Check(
        "DUR-04.1",
        "An ack with a higher epoch and a lower `durable` makes the terminal send everything not covered again.",
        "On a higher epoch take `durable` and `have` as they stand, also when they go back.",
        "epoch",
    ),
    Check(
        "DUR-04.2",
        "An ack with a lower epoch than the last one believed moves nothing.",
        "Keep the epoch of the last believed ack on disk; ignore acks of an older one.",
        "silence",
    ),
    Check(
        "DUR-04.3",
        "Within an epoch `durable` never falls.",
        "Ignore an ack whose `durable` is below the cursor unless its epoch is higher.",
        "silence",
    ),
    Check(
        "DUR-04.4",
        "After a restart the birth names the `durable` and `epoch` that were believed last.",
        "Store the cursor and its epoch durably, and put both into the birth.",
        "kill",
    ),
    Check(
        "DUR-05.1",
        "A journal's numbers are 1, 2, 3 … without a gap once everything has arrived.",
        "Give numbers inside the storing transaction; never burn one on a failed attempt.",
    ),
    Check(
        "DUR-05.2",
        "Each batch is in order, and on `events` the first sending of a journal goes upwards.",
        "Send from the first event that is not acknowledged, in order of number.",
    ),
    Check(
        "DUR-05.3",
        "Taps are numbered in the order in which they were held to the readers.",
        "Number a tap when it is stored, before the next card is answered.",
    ),
    Check(
        "DUR-06.1",
        "`prevhash` is SHA-256 of the predecessor's own bytes, 64 zeros for number 1.",
        "Hash the bytes that you stored and send, not a decoded copy.",
    ),
    Check(
        "DUR-06.2",
        "Birth names the journal's head: its number, and the hash of that event's bytes.",
        "Take head number and hash from the same look at the journal.",
    ),
    Check(
        "DUR-06.3",
        "An ack whose hash is not that of the terminal's own event moves nothing.",
        "Compare `hash` with your event `durable` before you believe anything else of the ack.",
        "fork",
    ),
    Check(
        "DUR-06.4",
        "Every event fits the schema of its type, `id` is journalid-sequence.",
        "Validate what you write against event.schema.json before you ship a version.",
    ),
    Check(
        "DUR-06.5",
        "Behind an ack with another event's hash nothing more is sent; cards are recorded all the same.",
        "Two journals share an id, or yours was changed: stop sending, keep everything, raise an alarm.",
        "fork",
    ),
    Check(
        "DUR-08.1",
        "A backlog made without a broker arrives completely once it is back.",
        "Reconnect for ever with a bounded pause, and send from the cursor.",
        "outage",
    ),
    Check(
        "DUR-08.2",
        "A batch has at most 64 events and 131,072 bytes, an event at most 16,384 bytes.",
        "Close a batch before either limit is passed.",
    ),
    Check(
        "DUR-08.3",
        "A batch is a JSON array with content type application/cloudevents-batch+json.",
        "Join the stored bytes with commas between [ and ], and set the content type property.",
    ),
    Check(
        "DUR-08.4",
        "No more messages wait for a PUBACK than the broker's Receive Maximum.",
        "Count what is in flight and stop at the Receive Maximum of CONNACK, or below.",
        "outage",
    ),
    Check(
        "DUR-08.5",
        "What goes out on `live` are events of the journal, unchanged.",
        "Send the same stored bytes on `live`; they keep number, hash and id.",
        "outage",
    ),
    Check(
        "TIM-01.1",
        "Within a boot `boottimens` goes on with the numbers; two readers may swap places within a second.",
        "Read CLOCK_BOOTTIME for each event, and make a new `bootid` at each boot.",
    ),
    Check(
        "TIM-01.2",
        "Within a boot and a `clockepoch`, `time` and `boottimens` go on alike.",
        "Raise `clockepoch` by one whenever the wall clock was moved by more than a second.",
    ),
    Check(
        "TIM-01.3",
        "`clockepoch` does not fall within a boot.",
        "Keep counting while the machine runs; never start over.",
    ),
    Check(
        "TIM-01.4",
        "A tap's `time` under a synchronised clock is true within `clockerrms`.",
        "State `synced` only while NTP holds the clock, with the error it states; else `holdover`, `rtc` or `unset`.",
    ),
    Check(
        "RDR-01.1",
        "A card that could not be read is told to the worker, and nothing is recorded.",
        "Answer red and ask for the card again; an event needs an identity.",
        "taps",
    ),
    Check(
        "CRD-01.1",
        "Method and assurance are what the card proved.",
        "Write the method that was carried out: an identifier alone is `id_only` with assurance 0.",
    ),
    Check(
        "CRD-01.2",
        "`subject` is card: and the first 32 hex digits of HMAC-SHA256(system key, identity).",
        "Use the system key's 32 bytes, not its hex text, and the identity's bytes.",
    ),
    Check(
        "PRV-01.1",
        "A card's raw identity is in nothing that is sent.",
        "Replace the identity by its token before anything is stored or logged.",
    ),
    Check(
        "IDT-01.1",
        "The terminal publishes on its own topics only.",
        "Build topics from the configured site and terminal codes: ccs/v1/{site}/{terminal}/{kind}.",
    ),
    Check(
        "IDT-01.2",
        "`source` names the terminal of the topic.",
        "Write urn:ccs:{site}:{terminal} with the same codes as the topic.",
    ),
    Check(
        "IDT-01.3",
        "It subscribes to ack, command, roster, incident and central's state, at QoS 1, and to nothing wider.",
        "Subscribe to exactly those five topics: wildcards would show it other sites' people.",
    ),
    Check(
        "IDT-01.4",
        "A signed command is answered on `reply` with its id; what was not done says why.",
        "Remember the ids that were done; answer ok:false with a sentence when you cannot.",
        "commands",
    ),
    Check(
        "IDT-01.5",
        "An expired command is answered with ok:false and a sentence.",
        "Compare `expires_at` with your clock before doing anything.",
        "commands",
    ),
    Check(
        "IDT-01.6",
        "A command with a wrong signature is not answered and not done.",
        "Verify the Ed25519 signature over the UTF-8 bytes of `body` first.",
        "commands",
    ),
    Check(
        "INC-01.1",
        "Birth is the first message of every connection, and fits its schema.",
        "Publish birth before anything else, also when a backlog waits.",
    ),
    Check(
        "INC-01.2",
        "The will says offline: on `state`, QoS 1, retained, with this boot's id and a time before the connection.",
        "Set the will anew for every connection.",
    ),
    Check(
        "INC-01.3",
        "Behind the birth `state` says online, retained.",
        'Publish {"online":true,…} retained on every connection.',
    ),
    Check(
        "INC-01.4",
        "Heartbeats come at least every 15 seconds and fit their schema.",
        "Beat on a timer of its own: a busy uplink must not delay it.",
        "session",
    ),
    Check(
        "INC-01.5",
        "Heartbeats go out at QoS 0.",
        "A heartbeat that is late is worth nothing: do not queue it.",
    ),
    Check(
        "INC-01.6",
        "Every reading is recorded with its reader's direction, a repetition within 60 seconds as `repeat`.",
        "Record repetitions and refusals too; direction belongs to the reader, never to a guess.",
        "taps",
    ),
    Check(
        "INC-01.7",
        "The colour shown is the event's `shown`, and fits its `decision`.",
        "accepted and repeat green, unknown_card amber, barred and auth_failed red; record what you showed.",
    ),
    Check(
        "INC-01.8",
        "On an orderly end `state` says offline before DISCONNECT.",
        "Publish the retained state, wait for its PUBACK, then disconnect.",
        "farewell",
    ),
    Check(
        "INC-01.9",
        "Every connection is MQTT 5 and stays within the protocol.",
        "Use an MQTT 5 library; QoS 2 and oversized packets are refused here.",
    ),
    Check(
        "INC-02.1",
        "A signed roster is applied: allowed cards are accepted, barred ones are red, others are unknown.",
        "Verify, apply, report its version in the heartbeat and in each tap's `rosterver`.",
        "taps",
    ),
    Check(
        "INC-02.2",
        "A delta on the version held is applied.",
        "Add or replace `entries` and `inside`, drop `removed` and `inside_removed`.",
        "roster",
    ),
    Check(
        "INC-02.3",
        "A roster with a wrong signature is refused.",
        "Verify the signature over the bytes of `body` before you parse it.",
        "roster",
    ),
    Check(
        "INC-02.4",
        "An older roster than the one held is refused.",
        "Compare versions; never go back.",
        "roster",
    ),
    Check(
        "INC-02.5",
        "A delta on another version is not applied: the terminal subscribes again and takes the retained whole one.",
        "Compare `base` with the version held; on a gap send SUBSCRIBE for the roster topic once more.",
        "roster",
    ),
    Check(
        "INC-02.6",
        "After a restart without a broker the roster still decides.",
        "Keep the signed roster on disk, verify it again at start.",
        "kill",
    ),
    Check(
        "INC-03.1",
        "While an incident is open, and when it ends, cards are recorded as ever.",
        "Show the incident; never let it stop the tap path.",
        "incident",
    ),
    Check(
        "INC-03.2",
        "A malformed incident stops nothing.",
        "Validate it, log what does not fit, go on.",
        "incident",
    ),
    Check(
        "INC-03.3",
        "A reader for the roll call writes ccs.muster.v1 with direction `muster`.",
        "Give the roll call a reader of its own with direction muster.",
        "taps",
    ),
)
