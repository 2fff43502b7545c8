"""A Node-RED that takes taps from MQTT into PostgreSQL: installed from npm into a scratch folder, and its two flows.

`row` is the flow that people draw: one INSERT a message. `batch` is the best that a flow can do: messages gathered in
a function node and written with one INSERT of arrays, at 500 or after 50 ms. (Letting PostgreSQL take the JSON apart
costs more, and so does writing each event as text anew: the flow keeps the bytes it got.) Both write over the current
`pg` driver with a pool of ten, as the usual PostgreSQL node does inside; the node that the registry offers brings a
driver of 2017 that hangs on a present Node.

Node-RED's MQTT node acknowledges a message when it has it, and offers no way to do so later: whatever a flow gathers,
and whatever waits in the pool, is gone at `kill -9`. No flow can be faster and keep it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

INSTALL_S_MAX = 600
CLIENT_ID = "rival-flow"
PACKAGES = ("node-red", "pg")

_COLUMNS = "journal, seq, occurred_at, site, terminal, token, direction, bytes"
_ROW = """
const event = JSON.parse(msg.payload)[0];
const place = event.source.split(':');
pool.query(
  'INSERT INTO rival_event (COLUMNS) VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT DO NOTHING',
  [event.journalid, event.sequence, event.time, place[2], place[3], event.subject, event.data.direction,
   msg.payload.subarray(1, -1)],
  (error) => { if (error) node.error(error, msg); else node.send(msg); });
return null;
"""
_BATCH = """
const kept = context.get('kept') || [];
if (msg.payload !== 'flush') {
  const event = JSON.parse(msg.payload)[0];
  const place = event.source.split(':');
  kept.push([event.journalid, event.sequence, event.time, place[2], place[3], event.subject, event.data.direction,
             msg.payload.subarray(1, -1)]);
}
if (kept.length >= 500 || (msg.payload === 'flush' && kept.length > 0)) {
  context.set('kept', []);
  const columns = kept[0].map((_, at) => kept.map((row) => row[at]));
  pool.query(
    'INSERT INTO rival_event (COLUMNS) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[],'
    + ' $5::text[], $6::text[], $7::text[], $8::bytea[]) ON CONFLICT DO NOTHING',
    columns, (error) => { if (error) node.error(error, msg); else node.send(msg); });
} else {
  context.set('kept', kept);
}
return null;
"""
_SETTINGS = """
const pg = require('pg');
module.exports = {
  flowFile: 'flow.json', uiPort: UI_PORT, uiHost: '127.0.0.1', httpAdminRoot: false, credentialSecret: false,
  functionGlobalContext: { pool: new pg.Pool({ connectionString: 'DATABASE_URL', max: 10 }) },
  logging: { console: { level: 'warn', metrics: false, audit: false } },
};
"""


class NoNodeRed(RuntimeError):
    """Node-RED cannot be had here; the message says why."""


def install(folder: Path) -> None:
    """Install Node-RED and the driver into a scratch folder; raise `NoNodeRed`."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NoNodeRed("node and npm are not installed (apt-get install nodejs npm)")
    command = [npm, "install", "--no-audit", "--no-fund", "--omit=dev", "--prefix", str(folder), *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_S_MAX)
    if done.returncode != 0:
        raise NoNodeRed(f"npm could not install {' and '.join(PACKAGES)}: {done.stderr.strip()[-300:]}")


def command(folder: Path) -> list[str]:
    """Return the command that runs the flow written by `write_flow`."""
    return [
        "node",
        str(folder / "node_modules" / "node-red" / "red.js"),
        "-u",
        str(folder),
        "-s",
        f"{folder}/settings.js",
    ]


def write_flow(folder: Path, kind: str, *, database_url: str, broker_port: int, ui_port: int, topic: str) -> None:
    """Write settings and flow; `kind` is `row` or `batch`."""
    (folder / "settings.js").write_text(
        _SETTINGS.replace("UI_PORT", str(ui_port)).replace("DATABASE_URL", database_url)
    )
    code = "const pool = global.get('pool');\n" + (_ROW if kind == "row" else _BATCH).replace("COLUMNS", _COLUMNS)
    store: dict[str, Any] = {"id": "store", "type": "function", "z": "flow", "name": kind, "func": code, "outputs": 1}
    nodes: list[dict[str, Any]] = [
        {"id": "flow", "type": "tab", "label": kind},
        {
            "id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": str(broker_port),
            "clientid": CLIENT_ID, "autoConnect": True, "usetls": False, "protocolVersion": "5", "keepalive": "60",
            "cleansession": False, "sessionExpiry": "3600",
        },
        {
            "id": "in", "type": "mqtt in", "z": "flow", "topic": topic, "qos": "1", "datatype": "buffer",
            "broker": "broker", "nl": False, "rap": True, "rh": 0, "inputs": 0, "wires": [["store"]],
        },
        store | {"wires": [[]]},
    ]  # fmt: skip
    if kind == "batch":
        nodes.append(
            {
                "id": "tick", "type": "inject", "z": "flow", "repeat": "0.05", "once": True, "onceDelay": "0.1",
                "props": [{"p": "payload"}], "payload": "flush", "payloadType": "str", "wires": [["store"]],
            }
        )  # fmt: skip
    (folder / "flow.json").write_text(json.dumps(nodes))
