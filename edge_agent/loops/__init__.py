"""The agent's loops: gate, uplink, downlink, heartbeat, keeper. Each runs on its own thread under the supervisor."""
