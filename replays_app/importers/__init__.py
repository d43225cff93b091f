"""Any source of traces to one intermediate form, and from there to a replay session.

Plain Python like the engine: no Django, no settings, no database. Importers of a source turn what
its server or file says into `trace.Trace`; `convert.to_session` does the rest, the same for all.
"""
