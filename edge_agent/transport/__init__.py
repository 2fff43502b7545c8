"""How records leave the terminal and answers come back: a pure protocol, a pure link table, and one MQTT client."""
