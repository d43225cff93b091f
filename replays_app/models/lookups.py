"""What both databases can look up, and Django cannot on SQLite."""

from __future__ import annotations

from typing import Any

from django.db import NotSupportedError
from django.db.models import JSONField, Lookup


@JSONField.register_lookup
class HasElement(Lookup):
    """`tags__has_element="checkout"`: a list of texts holds this one."""

    lookup_name = "has_element"
    prepare_rhs = False

    def get_db_prep_lookup(self, value: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [str(value)]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        value, more = self.process_rhs(compiler, connection)
        # Both are what the compiler made: a quoted column and a placeholder.
        sql = f"EXISTS (SELECT 1 FROM json_each({column}) WHERE json_each.value = {value})"  # noqa: S608
        return sql, [*params, *more]

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        value, more = self.process_rhs(compiler, connection)
        return f"{column} @> to_jsonb({value}::text)", [*params, *more]

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        raise NotSupportedError(f"has_element is not written for {connection.vendor}")
