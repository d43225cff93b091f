"""An agent that never listens."""

import signal

print("loading a very large model", flush=True)
signal.pause()
