"""What all sources of spans share: OpenTelemetry in its dialects, and Langfuse.

An adapter turns what its source says into `node.Node`s, and `tree.trace_of` makes a trace of them.
"""
