"""`${NAME}` in an upload: refused where a value is expected, kept where it is evidence."""

from __future__ import annotations

import pytest

from replays_app.engine.formats.document import Document
from replays_app.engine.formats.errors import FormatError
from replays_app.engine.formats.variables import refuse_variables


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"input": "${SECRET}"}, "input"),
        ({"input": " ${SECRET}\n"}, "input"),
        ({"id": "run-${N}"}, "id"),
        ({"contract": "${DIR}/c.yaml"}, "contract"),
        ({"agent_version": "v${N}"}, "agent_version"),
        ({"recorded_output": "${}"}, "recorded_output"),
        ({"tool_responses": [{"tool": "${T}"}]}, "tool_responses[0].tool"),
        ({"tool_responses": [{"response": {"a": ["${T}"]}}]}, "tool_responses[0].response.a[0]"),
        ({"tool_responses": [{"headers": {"A": "Bearer ${T}"}}]}, "tool_responses[0].headers.A"),
    ],
)
def test_where_a_value_is_expected_it_is_refused(value, field):
    with pytest.raises(FormatError) as refused:
        refuse_variables(value, Document(value, "upload"))
    [problem] = refused.value.problems
    assert problem.field == field
    assert problem.message.endswith("write the value itself")


@pytest.mark.parametrize(
    "value",
    [
        {"input": "What does ${HOME} mean?"},
        {"recorded_output": "for f in ${A} ${B}; do"},
        {"tool_responses": [{"args": {"id": "x ${T}", "headers": "a ${T}"}}]},
        {"tool_responses": [{"response": {"tool": "a ${T}"}}]},
        {"context": [{"role": "user", "source": "a ${T}"}]},
        {"name": "$SECRET", "id": "$1", "source": "{x}"},
    ],
)
def test_inside_a_text_it_is_evidence(value):
    refuse_variables(value, Document(value, "upload"))
