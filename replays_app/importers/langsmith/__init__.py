"""LangSmith: its runs to a `Trace`. The rules are in docs/imports.md."""
