"""The routes about the service: heartbeat, modes, news, time-outs, return codes."""
