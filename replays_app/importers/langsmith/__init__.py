"""LangSmith: its runs to a `Trace`, and how they are fetched. The rules are in docs/imports.md."""
